"""Mobiles that are filed as something else, filed as Mobile for several patients at once."""

from collections.abc import Collection
from datetime import datetime

from portal import store
from portal.actions.patients import NoSuchPatient, Refused, file_as_mobile
from portal.actions.who import Who
from portal.core.ahead import number_to_file
from portal.core.numbers import PhoneType

MOST = 200


def file_mobiles(practice_id: str, patient_ids: Collection[int], who: Who, now: datetime) -> int:
    """Returns for how many. Left out is who has a number filed as Mobile already, or none that is a mobile beyond
    doubt; and whoever is not of this practice."""
    wanted: list[tuple[int, int]] = []
    with store.reading(practice_id) as session:
        countries = store.practices.get_practice(session, practice_id).countries
        rows = store.today.list_number_rows(session, sorted(set(patient_ids))[:MOST])
    for patient_id, theirs in rows.items():
        if any(row.type is PhoneType.MOBILE for row in theirs):
            continue
        e164 = number_to_file([row.as_number() for row in theirs], countries)
        wanted += [(patient_id, row.id) for row in theirs if e164 and row.e164 == e164][:1]
    filed = 0
    for patient_id, number_id in wanted:
        try:
            filed += file_as_mobile(practice_id, patient_id, number_id, who=who, now=now)
        except (NoSuchPatient, Refused):  # somebody was there first
            continue
    return filed
