"""When the provider refuses the account itself, all sending waits, and now and then one message tries."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.store.host import ACCOUNT_REFUSED

FIRST_PROBE = timedelta(minutes=1)
LONGEST_BETWEEN_PROBES = timedelta(minutes=15)


def account_refused(session: Session, code: str, now: datetime) -> None:
    """All sending waits from now on; where it waits already, only a probe's answer makes it wait longer."""
    state = store.host.find_state(session, ACCOUNT_REFUSED)
    if state is None:
        _record(session, {"since": now.isoformat(), "code": code}, FIRST_PROBE, now)
    elif state.get("is_probing"):
        pause = min(2 * timedelta(seconds=state["pause"]), LONGEST_BETWEEN_PROBES)
        _record(session, state | {"code": code}, pause, now)


def account_is_well(session: Session, now: datetime) -> None:
    if store.host.find_state(session, ACCOUNT_REFUSED) is not None:
        store.host.record_state(session, ACCOUNT_REFUSED, None, now)


def account_probed(session: Session, now: datetime) -> None:
    """One message is on its way to try. Another may in a minute: this one may turn out not to go."""
    state = store.host.find_state(session, ACCOUNT_REFUSED)
    if state is not None:
        probing = {"is_probing": True, "probe_at": (now + FIRST_PROBE).isoformat()}
        store.host.record_state(session, ACCOUNT_REFUSED, state | probing, now)


def _record(session: Session, state: dict[str, Any], pause: timedelta, now: datetime) -> None:
    probe = {"pause": pause.total_seconds(), "probe_at": (now + pause).isoformat(), "is_probing": False}
    store.host.record_state(session, ACCOUNT_REFUSED, state | probe, now)


def probe_is_due(session: Session, now: datetime) -> bool | None:
    """None where the account is well; else whether a message may try now."""
    state = store.host.find_state(session, ACCOUNT_REFUSED)
    return None if state is None else datetime.fromisoformat(state["probe_at"]) <= now
