"""When the rules of time zones change, appointments keep their wall time, and their instants follow."""

from datetime import datetime

import tzdata

from portal import store
from portal.store.host import ZONE_RULES


def follow_zone_rules(now: datetime) -> int:
    """Where the rules are not those that the stored instants follow: read every future appointment's wall time
    again. Returns how many instants moved."""
    version = {"version": tzdata.IANA_VERSION}
    with store.everything() as session:
        known = store.host.find_state(session, ZONE_RULES)
        practices = [practice.id for practice in store.practices.list_practices(session)] if known != version else []
    if known == version:
        return 0
    moved = 0
    for practice_id in practices:
        with store.transaction(practice_id) as session:
            store.practices.lock_practice(session, practice_id)
            moved += store.appointments.read_wall_times_again(session, now)
    with store.everything(write=True) as session:
        store.host.record_state(session, ZONE_RULES, version, now)
    return moved
