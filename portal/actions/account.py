"""When the provider refuses the account itself, all sending waits, and now and then one message tries."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.store.host import ACCOUNT_REFUSED

FIRST_PROBE = timedelta(minutes=1)
LONGEST_BETWEEN_PROBES = timedelta(minutes=15)


def account_refused(session: Session, code: str, now: datetime) -> None:
    """Since when, why, and when one message may try again: after a minute, then more and more rarely."""
    state = store.host.find_state(session, ACCOUNT_REFUSED)
    if state is None:
        state = {"since": now.isoformat(), "pause": FIRST_PROBE.total_seconds() / 2}
    pause = min(state["pause"] * 2, LONGEST_BETWEEN_PROBES.total_seconds())
    probe_at = now + timedelta(seconds=pause)
    store.host.record_state(
        session,
        ACCOUNT_REFUSED,
        state | {"code": code, "pause": pause, "probe_at": probe_at.isoformat()},
        now,
    )


def account_is_well(session: Session, now: datetime) -> None:
    if store.host.find_state(session, ACCOUNT_REFUSED) is not None:
        store.host.record_state(session, ACCOUNT_REFUSED, None, now)


def account_probed(session: Session, now: datetime) -> None:
    """One message is on its way to try; the next may after the same pause."""
    state = store.host.find_state(session, ACCOUNT_REFUSED)
    if state is not None:
        probe_at = (now + timedelta(seconds=state["pause"])).isoformat()
        store.host.record_state(session, ACCOUNT_REFUSED, state | {"probe_at": probe_at}, now)


def probe_is_due(session: Session, now: datetime) -> bool | None:
    """None where the account is well; else whether a message may try now."""
    state = store.host.find_state(session, ACCOUNT_REFUSED)
    return None if state is None else datetime.fromisoformat(state["probe_at"]) <= now
