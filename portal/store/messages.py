"""The communications log: one row a message, with what became of it, and an event for each attempt and
decision."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Index,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    case,
    event,
    false,
    func,
    insert,
    inspect,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.core.reasons import DIAGNOSIS_ONLY, Reason
from portal.core.search import index_words
from portal.core.states import Direction, Kind, Status, states_before
from portal.store import search
from portal.store.appointments import Appointment
from portal.store.database import (
    Model,
    PracticeOwned,
    belongs_to,
    everything,
    insert_ignoring,
    referable,
    row_id,
    table_of,
)
from portal.store.patients import Patient
from portal.store.types import Reasons, RowId, UtcDateTime, only_known_reasons, words

# The one reminder rule there is so far; a second one gets a name of its own.
DAY_BEFORE = "day-before"

BUT_REMINDERS = "kind <> 'reminder'"
BILLED_OTHERWISE = "billed_parts <> charged"
BY_STAFF = "written_by IS NOT NULL OR form_key IS NOT NULL"


def has_reason(reason: Reason) -> str:
    """As an index's condition, which a query repeats to the letter."""
    return f"reasons LIKE '%{reason.value};%'"


class Message(PracticeOwned, Model):
    """`to`, `body` and `segments` are empty where it was not sent for a reason above `no-credits`.

    Of one that came in, `sender` is the patient's number and `to` the practice's.

    `charged`: the credits taken for it and not given back. `claim`: the attempt that may record its answer.
    `refused`: a fingerprint of the number, text and sender that the provider refused. `written_by`: who of the staff
    sent it, by the name of then; such a row's body goes as it stands. `written_by_id`: None on the command line.
    `form_key`: of the form that wrote it, which may come twice. `own_words`: they wrote the text themselves.
    `was_in_doubt`: the patient may have it from an attempt before they sent it again; stopped, it is in doubt again,
    and reported as delivered, it was. `is_marketing`: it needs the patient's consent.

    A test text has no patient: it goes to a number that staff typed.

    `billed_parts`, `billed_price` (millionths of `billed_currency`): as the provider says. `asked_at`: when its
    records were last asked for it.
    """

    __tablename__ = "messages"

    id: Mapped[int] = row_id()
    direction: Mapped[Direction] = mapped_column(words(Direction))
    kind: Mapped[Kind] = mapped_column(words(Kind))
    business_id: Mapped[int | None] = mapped_column(RowId)
    patient_id: Mapped[int | None] = mapped_column(RowId)
    appointment_id: Mapped[int | None] = mapped_column(RowId)
    revision: Mapped[int | None]
    rule: Mapped[str | None] = mapped_column(Text)
    status: Mapped[Status] = mapped_column(words(Status))
    reasons: Mapped[tuple[Reason, ...]] = mapped_column(Reasons)
    sender: Mapped[str | None] = mapped_column(Text)
    to: Mapped[str | None] = mapped_column("to_number", Text)
    body: Mapped[str | None] = mapped_column(Text)
    segments: Mapped[int | None]
    charged: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    pass_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # an automatic one was decided last
    deadline_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # not tried before
    enqueued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # None: in no job that we know of
    claim: Mapped[str | None] = mapped_column(Text)
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    provider_id: Mapped[str | None] = mapped_column(Text)
    provider_code: Mapped[str | None] = mapped_column(Text)
    refused: Mapped[str | None] = mapped_column(Text)
    written_by: Mapped[str | None] = mapped_column(Text)
    written_by_id: Mapped[int | None] = mapped_column(RowId)
    form_key: Mapped[str | None] = mapped_column(Text)
    own_words: Mapped[bool] = mapped_column(default=False, server_default=false())
    was_in_doubt: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_marketing: Mapped[bool] = mapped_column(default=False, server_default=false())
    billed_parts: Mapped[int | None]
    billed_price: Mapped[int | None] = mapped_column(RowId)
    billed_currency: Mapped[str | None] = mapped_column(Text)
    asked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        referable(),
        belongs_to("business_id", "businesses"),
        belongs_to("patient_id", "patients"),
        belongs_to("appointment_id", "appointments"),
        only_known_reasons("reasons"),
        CheckConstraint("charged >= 0", name="charged"),
        CheckConstraint(
            "kind <> 'reminder' OR (appointment_id IS NOT NULL AND revision IS NOT NULL AND rule IS NOT NULL)",
            name="reminder_of_an_appointment",
        ),
        CheckConstraint(
            "kind <> 'reminder' OR status <> 'not-sent' OR (to_number IS NULL AND body IS NULL AND segments IS NULL)",
            name="not_sent_has_no_text",
        ),
        CheckConstraint(
            "status NOT IN ('queued', 'sending', 'sent', 'delivered', 'undelivered', 'unconfirmed', 'unknown') "
            "OR (to_number IS NOT NULL AND body IS NOT NULL AND segments IS NOT NULL)",
            name="sent_has_text",
        ),
        CheckConstraint(
            "status NOT IN ('not-sent', 'failed', 'cancelled', 'expired') OR (reasons <> '' AND charged = 0)",
            name="stopped_has_a_reason_and_its_credits_back",
        ),
        # One reminder for each appointment, revision and rule, whatever happens.
        UniqueConstraint("appointment_id", "revision", "rule", name="uq_messages_one_reminder"),
        Index("ix_messages_log", "practice_id", "id"),
        Index("ix_messages_status", "practice_id", "status", "id"),
        Index("ix_messages_patient", "practice_id", "patient_id", "id"),
        Index("ix_messages_patient_pass", "practice_id", "patient_id", "pass_at"),
        Index("ix_messages_created", "practice_id", "created_at", "status"),
        Index("ix_messages_business", "practice_id", "business_id", "id"),
        Index("ix_messages_appointment", "practice_id", "appointment_id", "id"),
        Index("ix_messages_provider_id", "provider_id"),
        # Nearly all are reminders: the others are found without reading those.
        Index(
            "ix_messages_kind",
            "practice_id",
            "kind",
            "id",
            sqlite_where=text(BUT_REMINDERS),
            postgresql_where=text(BUT_REMINDERS),
        ),
        # In an order that no other index has: PostgreSQL takes nearly all rows for such, and would go by their ids.
        Index(
            "ix_messages_billed_otherwise",
            "practice_id",
            "sent_at",
            sqlite_where=text(BILLED_OTHERWISE),
            postgresql_where=text(BILLED_OTHERWISE),
        ),
        # A message may have several reasons: one index for each, of the few rows that have it.
        *(
            Index(
                f"ix_messages_{reason.replace('-', '_')}",
                "practice_id",
                "id",
                sqlite_where=text(has_reason(reason)),
                postgresql_where=text(has_reason(reason)),
            )
            for reason in Reason
            if reason not in DIAGNOSIS_ONLY
        ),
        # What the sweeps look at: only the few rows that are on their way.
        *(
            Index(
                f"ix_messages_{name}",
                column,
                sqlite_where=text(f"status = '{status}'"),
                postgresql_where=text(f"status = '{status}'"),
            )
            for name, column, status in (
                ("queued", "next_at", "queued"),
                ("queued_deadline", "deadline_at", "queued"),
                ("sending", "claimed_at", "sending"),
                ("sent", "sent_at", "sent"),
                ("unknown", "claimed_at", "unknown"),
            )
        ),
    )


# A form that is sent twice writes once.
Index(
    "uq_messages_form_key",
    Message.practice_id,
    Message.form_key,
    unique=True,
    sqlite_where=text("form_key IS NOT NULL"),
    postgresql_where=text("form_key IS NOT NULL"),
)
# For the worklist: what was queued again long after it was written.
Index(
    "ix_messages_by_staff",
    Message.practice_id,
    Message.deadline_at,
    sqlite_where=text(BY_STAFF),
    postgresql_where=text(BY_STAFF),
)


# By which an appointment is joined to the reminder for its time as it is now.
is_its_reminder = and_(
    Message.appointment_id == Appointment.id,
    Message.revision == Appointment.revision,
    Message.rule == DAY_BEFORE,
)


class MessageEvent(PracticeOwned, Model):
    """One decision about a message or one attempt to send it. `at` is the pass's instant for a decision of a
    pass; `detail` holds codes, or who of the staff did it, and never a patient's name, number or text."""

    __tablename__ = "message_events"

    id: Mapped[int] = row_id()
    message_id: Mapped[int] = mapped_column(RowId)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    event: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text, default="")

    __table_args__ = (
        belongs_to("message_id", "messages"),
        Index("ix_message_events_message", "practice_id", "message_id", "id"),
    )


def record_reminders(session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Write new reminders; returns the message's id for each appointment's. One that already has its row
    (somebody was faster) is left out."""
    if not rows:
        return {}
    statement = insert_ignoring(session, table_of(Message)).returning(
        table_of(Message).c.appointment_id, table_of(Message).c.id
    )
    ids = dict(session.execute(statement, rows).all())
    index_messages(session, list(ids.values()), are_new=True)
    return ids


def record_texts(session: Session, rows: Sequence[Mapping[str, Any]], sent_by: datetime | None) -> list[int]:
    """Write those that staff send, all with the same columns; returns their ids, in order. The practice is locked.
    `sent_by`: as in `index_messages`."""
    if not rows:
        return []
    table = table_of(Message)
    statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
    ids = list(session.execute(statement, rows).scalars())
    index_messages(session, ids, are_new=True, sent_by=sent_by)
    return ids


def update_messages(session: Session, rows: Sequence[Mapping[str, Any]], *, sent_by: datetime | None = None) -> None:
    """Set the same columns of many messages; each row holds `id`, `practice_id` and the new values. `sent_by`: as in
    `index_messages`."""
    if not rows:
        return
    table = table_of(Message)
    columns = [name for name in rows[0] if name not in ("id", "practice_id")]
    statement = (
        update(table)
        .where(table.c.id == bindparam("_id"), table.c.practice_id == bindparam("_practice"))
        .values({table.c[name]: bindparam(f"_{name}") for name in columns})
    )
    # Not through the session's own execute: one prepared statement for all rows, narrowed by hand above.
    session.connection().execute(statement, [{f"_{k}": v for k, v in _renamed(row).items()} for row in rows])
    if not _INDEXED.isdisjoint(columns):
        index_messages(session, [row["id"] for row in rows], sent_by=sent_by)


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {("practice" if name == "practice_id" else name): value for name, value in row.items()}


def record_events(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of practice_id, message_id, at, event, detail."""
    if rows:
        session.execute(insert(table_of(MessageEvent)), rows)


def list_queued_where(session: Session, which: ColumnElement[bool]) -> list[tuple[int, int, bool]]:
    """(id, credits taken, was it in doubt before) of those messages that are queued."""
    queued = select(Message.id, Message.charged, Message.was_in_doubt)
    return list(session.execute(queued.where(which, Message.status == Status.QUEUED)))


def list_queued_of(session: Session, appointment_ids: Collection[int]) -> list[tuple[int, int, bool]]:
    """As above, of what is for these appointments."""
    return list_queued_where(session, Message.appointment_id.in_(appointment_ids))


def list_queued(session: Session, message_ids: Collection[int]) -> list[tuple[int, int, bool]]:
    """As above, of these."""
    return list_queued_where(session, Message.id.in_(message_ids)) if message_ids else []


def mark_sending(session: Session, message_ids: Collection[int], claim: str, now: datetime) -> None:
    """The practice is locked, and these were seen queued under the lock."""
    if message_ids:
        session.execute(
            update(Message)
            .where(Message.id.in_(message_ids), Message.status == Status.QUEUED)
            .values(
                status=Status.SENDING,
                reasons=(),
                provider_code=None,
                claim=claim,
                claimed_at=now,
                attempts=Message.attempts + 1,
                asked_at=None,
            )
            .execution_options(synchronize_session=False)
        )


def list_claimed(session: Session, claims: Sequence[tuple[int, str]]) -> set[int]:
    """Those messages that are still in the hands of the attempt that claimed them: being sent, or in doubt
    since (its answer settles that)."""
    held = session.execute(
        select(Message.id, Message.claim).where(
            Message.id.in_([message_id for message_id, _ in claims]),
            Message.status.in_(states_before(Status.SENT)),
        )
    )
    return {id_ for id_, _ in set(held) & set(claims)}


def find_message(session: Session, message_id: int) -> Message | None:
    return session.scalar(select(Message).where(Message.id == message_id))


def list_events(session: Session, message_ids: Collection[int]) -> dict[int, list[MessageEvent]]:
    """Each message's events, oldest first."""
    events: dict[int, list[MessageEvent]] = {}
    for row in session.scalars(
        select(MessageEvent).where(MessageEvent.message_id.in_(message_ids)).order_by(MessageEvent.id)
    ):
        events.setdefault(row.message_id, []).append(row)
    return events


def find_reminder(session: Session, appointment_id: int, revision: int) -> Message | None:
    return session.scalar(
        select(Message).where(
            Message.appointment_id == appointment_id, Message.revision == revision, Message.rule == DAY_BEFORE
        )
    )


def list_reminders(session: Session, appointment_ids: Collection[int]) -> dict[int, Message]:
    """By appointment, as it stands now."""
    found = select(Appointment.id, Message).join(Message, is_its_reminder)
    return dict(session.execute(found.where(Appointment.id.in_(appointment_ids))).all())


# --- the full-text index ------------------------------------------------------------------------------------

# When it went, was decided or came: what a page shows, and a search for dates goes by.
message_at = func.coalesce(Message.sent_at, Message.pass_at, Message.created_at)
_patients_number = case((Message.direction == Direction.INBOUND, Message.sender), else_=Message.to)
_INDEXED = frozenset({"to_number", "body", "patient_id", "pass_at"})
_AT_ONCE = 1000  # below every database's limit of values in one statement


def index_messages(
    session: Session, message_ids: Sequence[int], *, are_new: bool = False, sent_by: datetime | None = None
) -> None:
    """File these messages under the words that they and their patients' names hold now.

    `sent_by`: until when they may be sent, where that is later than a day after they were filed.
    """
    for start in range(0, len(message_ids), _AT_ONCE):
        filed: dict[str, list[search.Filed]] = {}
        for practice_id, id_, number, body, at, first_name, last_name in session.execute(
            select(
                Message.practice_id,
                Message.id,
                _patients_number,
                Message.body,
                message_at,
                Patient.first_name,
                Patient.last_name,
            )
            .join(Patient, Patient.id == Message.patient_id, isouter=True)
            .where(Message.id.in_(message_ids[start : start + _AT_ONCE]))
        ):
            words = index_words((first_name or "", last_name or "", body or ""), number)
            filed.setdefault(practice_id, []).append(search.Filed(id_, words, sent_by or at))
        for practice_id, rows in filed.items():
            search.file(session, practice_id, rows, are_new=are_new)


def index_messages_of(session: Session, patient_ids: Collection[int]) -> None:
    """Those patients have other names now."""
    if patient_ids:
        ids = session.scalars(select(Message.id).where(Message.patient_id.in_(patient_ids)).order_by(Message.id))
        index_messages(session, ids.all())


@event.listens_for(Session, "after_flush")
def _index_what_is_written(session: Session, *_: object) -> None:
    """What is written as objects; what is written as columns is indexed above, and by the import."""
    new = [row.id for row in session.new if isinstance(row, Message)]
    index_messages(session, new, are_new=True)
    changed = ("to", "body", "patient_id", "pass_at", "sent_at")
    index_messages(session, [row.id for row in session.dirty if isinstance(row, Message) and _has(row, changed)])
    names = ("first_name", "last_name")
    index_messages_of(session, [row.id for row in session.dirty if isinstance(row, Patient) and _has(row, names)])


def _has(row: Model, changed: Collection[str]) -> bool:
    attributes = inspect(row).attrs
    return any(attributes[name].history.has_changes() for name in changed)


# --- for the host's sweeps: rows of every practice --------------------------------------------------------


def list_stale(status: Status, column: Any, before: datetime, most: int) -> list[tuple[str, list[int]]]:
    """(practice, ids) of messages in that state whose instant in `column` is at or before `before`."""
    with everything() as session:
        rows = session.execute(
            select(Message.practice_id, Message.id)
            .where(Message.status == status, column <= before)
            .order_by(column)
            .limit(most)
        ).all()
    by_practice: dict[str, list[int]] = {}
    for practice_id, id_ in rows:
        by_practice.setdefault(practice_id, []).append(id_)
    return list(by_practice.items())


def keep_stale(
    session: Session, message_ids: Collection[int], status: Status, column: Any, before: datetime
) -> list[int]:
    """Those of them that still are as `list_stale` saw them."""
    kept = select(Message.id).where(Message.id.in_(message_ids), Message.status == status, column <= before)
    return list(session.scalars(kept))


def list_unenqueued(session: Session, now: datetime, enqueued_before: datetime, most: int) -> list[tuple[str, int]]:
    """(practice, id) of queued messages that are due and not known to be in a job, the longest due first.

    Locks them, without their practices' locks: it must wait for nobody, and passes over what others hold.
    """
    return list(
        session.execute(
            select(Message.practice_id, Message.id)
            .where(
                Message.status == Status.QUEUED,
                Message.next_at <= now,
                or_(Message.enqueued_at.is_(None), Message.enqueued_at <= enqueued_before),
            )
            .order_by(Message.next_at, Message.id)
            .limit(most)
            .with_for_update(skip_locked=True, key_share=True)
        )
    )


def mark_enqueued(session: Session, message_ids: Collection[int], now: datetime) -> None:
    if message_ids:
        session.execute(
            update(Message)
            .where(Message.id.in_(message_ids), Message.status == Status.QUEUED)
            .values(enqueued_at=now)
            .execution_options(synchronize_session=False)
        )


def count_queued() -> tuple[int, datetime | None]:
    """How many messages are queued on the host, and when the first of them is due."""
    with everything() as session:
        count, first = session.execute(
            select(func.count(), func.min(Message.next_at)).where(Message.status == Status.QUEUED)
        ).one()
    return count, first
