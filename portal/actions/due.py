"""Which practices are due for a pass."""

from collections.abc import Sequence
from datetime import datetime

from portal import store
from portal.core.timing import PassHour, pass_hour


def find_due(at: datetime) -> Sequence[str]:
    """The practices with a business whose local hour at `at` is one of its pass hours and not yet handled.

    Reads a row for each business and each hour handled now, nothing of patients or appointments.
    """
    with store.everything() as session:
        hours: dict[tuple[str, int], PassHour | None] = {}
        due: dict[int, tuple[str, PassHour]] = {}
        for practice_id, window_start, business_id, zone_name in store.practices.list_clocks(session):
            if (zone_name, window_start) not in hours:
                hours[zone_name, window_start] = pass_hour(at, zone_name, window_start)
            hour = hours[zone_name, window_start]
            if hour:
                due[business_id] = practice_id, hour
        handled = store.passes.list_handled_hours(session, {hour for _, hour in due.values()})
    found = {practice_id for business_id, (practice_id, hour) in due.items() if (business_id, hour) not in handled}
    return sorted(found)


def watch_new_businesses(at: datetime) -> None:
    """A business is watched from the first run of the script that sees it."""
    with store.everything() as session:
        is_new = store.practices.has_unwatched(session)
    if is_new:
        with store.everything(write=True) as session:
            store.practices.watch_unwatched(session, at)
