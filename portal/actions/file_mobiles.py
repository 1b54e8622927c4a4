"""Mobiles that are filed as something else, filed as Mobile for the patients whom somebody saw listed."""

from collections.abc import Collection
from datetime import datetime

from portal import store
from portal.actions.tidy_numbers import file_in_a_batch
from portal.actions.who import Who

MOST = 200


def file_mobiles(practice_id: str, patient_ids: Collection[int], who: Who, now: datetime) -> int:
    """Returns for how many. Left out is who can be texted already, or has no number that is a mobile beyond doubt;
    and whoever is not of this practice. What is done can be undone, as everything that is tidied up."""
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        return file_in_a_batch(session, practice, sorted(set(patient_ids))[:MOST], None, who, now).done
