"""What stands around every page of a practice: read in one query, for each page has few to spare."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Select, and_, bindparam, func, or_, select, text
from sqlalchemy.orm import Session

from portal.store.alarms import StandingAlarm
from portal.store.changes import Change
from portal.store.host import ACCOUNT_REFUSED, HostState
from portal.store.imports import ImportRun
from portal.store.merges import Apart
from portal.store.messages import Message
from portal.store.patients import OptOut
from portal.store.practices import Business, NoSuchPractice, Practice, is_alone
from portal.store.replies import Reply

# Whatever staff, a pass, a patient's STOP or an import does leaves a row in one of these of the practice's; and what
# becomes of a text, or a pass that finds nothing to send, in one of these of the whole host's, which no index has by
# practice.
_LEFT_BEHIND = (Change, Message, OptOut, ImportRun, Apart)
_LEFT_BEHIND_ANYWHERE = (text("(SELECT max(id) FROM message_events)"), text("(SELECT max(id) FROM passes)"))


@dataclass(frozen=True, slots=True)
class Frame:
    """`account_refused`: see `store/host.py`. `unread`: replies. `alarms`: that stand, the practice's and the whole
    host's, the oldest first. `is_alone`: the host serves no other practice. `zone`: the first business's. `version`:
    another once staff, a pass, a STOP, an import or the phone company has done anything."""

    practice: Practice
    account_refused: dict[str, Any] | None
    unread: int
    alarms: Sequence[StandingAlarm]
    is_alone: bool
    zone: str | None
    version: tuple[int | None, ...]


def get_frame(session: Session, practice_id: str) -> Frame:
    """Raises NoSuchPractice."""
    rows = session.execute(_select(), {"practice": practice_id}).all()
    if not rows:
        raise NoSuchPractice(practice_id)
    practice, refused, count, is_alone_here, zone_name, _, *version = rows[0]
    alarms = tuple(row[5] for row in rows if row[5])
    return Frame(practice, refused, count, alarms, is_alone_here, zone_name, (practice.credits, *version))


@cache
def _select() -> Select[*tuple[Any, ...]]:
    practice: BindParameter[str] = bindparam("practice")
    unread = select(func.count()).select_from(Reply).where(Reply.practice_id == practice, Reply.read_at.is_(None))
    zone = select(Business.timezone).where(Business.practice_id == practice).order_by(Business.id).limit(1)
    newest = [
        select(table.id).where(table.practice_id == practice).order_by(table.id.desc()).limit(1).scalar_subquery()
        for table in _LEFT_BEHIND
    ]
    return (
        select(
            Practice,
            select(HostState.value).where(HostState.name == ACCOUNT_REFUSED).scalar_subquery(),
            unread.scalar_subquery(),
            is_alone(practice),
            zone.scalar_subquery(),
            StandingAlarm,
            *newest,
            *_LEFT_BEHIND_ANYWHERE,
        )
        .join(
            StandingAlarm,
            and_(
                StandingAlarm.cleared_at.is_(None),
                or_(StandingAlarm.practice_id == Practice.id, StandingAlarm.practice_id.is_(None)),
            ),
            isouter=True,
        )
        .where(Practice.id == practice)
        .order_by(StandingAlarm.since, StandingAlarm.id)
    )
