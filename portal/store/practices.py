"""A practice and what it sets up: businesses, practitioners, appointment types, SMS templates."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    CheckConstraint,
    ColumnElement,
    Date,
    Index,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from portal.core.phrases import full_name
from portal.core.reminders import LeftOut, Preference, Sending
from portal.store.database import (
    Model,
    NotThere,
    PracticeOwned,
    belongs_to,
    insert_ignoring,
    referable,
    row_id,
    table_of,
)
from portal.store.imported import Imported
from portal.store.types import RowId, UtcDateTime, words


class Practice(Imported, Model):
    """One clinic's account. `credits` is kept by the ledger's trigger: nothing else writes it.

    `texts_from`, `texts_until`: the local hours between which texts by staff go. `alarm_share`: more per cent of a
    day's texts undelivered are an alarm.

    `sending_changed_by`, `sending_note`: by whom and why, as people read it. `live_since`: from when on it sends,
    pauses included; None while it rehearses. `left_out_until`, `left_out_at`: see `core.reminders.LeftOut`.
    """

    __tablename__ = "practices"
    IMPORTED_FIELDS = (
        "name",
        "country",
        "default_preference",
        "lead_days",
        "window_start",
        "sending",
        "sender",
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    country: Mapped[str] = mapped_column(Text)  # ISO 3166, two letters
    also_sends_to: Mapped[str] = mapped_column(Text, default="")  # further countries, space-separated
    default_preference: Mapped[Preference] = mapped_column(words(Preference))
    lead_days: Mapped[int] = mapped_column(default=1)
    window_start: Mapped[int] = mapped_column(default=10)  # local hour
    sending: Mapped[Sending] = mapped_column(words(Sending), default=Sending.REHEARSAL)
    sending_changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sending_changed_by: Mapped[str | None] = mapped_column(Text)
    sending_note: Mapped[str] = mapped_column(Text, default="", server_default="")
    live_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    left_out_until: Mapped[date | None] = mapped_column(Date)
    left_out_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sender: Mapped[str] = mapped_column(Text)  # up to 11 letters and digits, or a number in E.164
    texts_from: Mapped[int] = mapped_column(
        CheckConstraint("texts_from BETWEEN 0 AND 12", name="texts_from"), default=8, server_default="8"
    )
    texts_until: Mapped[int] = mapped_column(
        CheckConstraint("texts_until BETWEEN 13 AND 24", name="texts_until"), default=21, server_default="21"
    )
    alarm_share: Mapped[int] = mapped_column(
        CheckConstraint("alarm_share BETWEEN 1 AND 100", name="alarm_share"), default=20, server_default="20"
    )
    credits: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("lead_days BETWEEN 1 AND 14", name="lead_days"),
        CheckConstraint("window_start BETWEEN 6 AND 15", name="window_start"),
        # Replies come to a number, so it belongs to one practice; a name may be shared.
        Index(
            "uq_practices_numeric_sender",
            "sender",
            unique=True,
            sqlite_where=text("sender LIKE '+%'"),
            postgresql_where=text("sender LIKE '+%'"),
        ),
    )

    @property
    def countries(self) -> frozenset[str]:
        """Those that the practice sends to."""
        return frozenset((self.country, *self.also_sends_to.split()))

    @property
    def left_out(self) -> LeftOut | None:
        if self.left_out_until is None or self.left_out_at is None:
            return None
        return LeftOut(self.left_out_until, self.left_out_at)

    @property
    def may_resume(self) -> bool:
        """Whether the end of a pause is no going live."""
        return self.sending is Sending.PAUSED and self.live_since is not None

    def switch(self, sending: Sending, now: datetime, by: str | None, note: str = "") -> None:
        """`by`: who, as people read it; None: an import."""
        if sending is Sending.REHEARSAL:
            self.live_since = None
        elif Sending.ON in (sending, self.sending):
            self.live_since = self.live_since or now
        self.sending, self.sending_changed_at = sending, now
        self.sending_changed_by, self.sending_note = by, note


class Business(PracticeOwned, Imported, Model):
    """A place where the practice sees patients.

    `watched_since`: the first run of the script that saw it. `accounted_until`: the last local day that is
    known to have had a pass, or was recorded as missed.
    """

    __tablename__ = "businesses"
    IMPORTED_FIELDS = ("name", "timezone", "contact_number", "sms_reminders")

    id: Mapped[int] = row_id()
    external_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(Text)
    contact_number: Mapped[str] = mapped_column(Text)
    sms_reminders: Mapped[bool]
    watched_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    accounted_until: Mapped[date | None] = mapped_column(Date)

    __table_args__ = (referable(), UniqueConstraint("practice_id", "external_id"))


class Practitioner(PracticeOwned, Imported, Model):
    __tablename__ = "practitioners"
    IMPORTED_FIELDS = ("title", "first_name", "last_name")

    id: Mapped[int] = row_id()
    external_id: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    first_name: Mapped[str] = mapped_column(Text)
    last_name: Mapped[str] = mapped_column(Text)

    __table_args__ = (referable(), UniqueConstraint("practice_id", "external_id"))

    @property
    def full_name(self) -> str:
        return full_name(self.title, self.first_name, self.last_name)


class SmsTemplate(PracticeOwned, Imported, Model):
    """`problem` says why a draft cannot be used; None where it can."""

    __tablename__ = "sms_templates"
    IMPORTED_FIELDS = ("name", "body")

    id: Mapped[int] = row_id()
    external_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    problem: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (referable(), UniqueConstraint("practice_id", "external_id"))


class AppointmentType(PracticeOwned, Imported, Model):
    __tablename__ = "appointment_types"
    IMPORTED_FIELDS = ("name", "duration_minutes", "reminder_template_id")

    id: Mapped[int] = row_id()
    external_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    duration_minutes: Mapped[int]
    reminder_template_id: Mapped[int | None] = mapped_column(RowId)

    __table_args__ = (
        referable(),
        UniqueConstraint("practice_id", "external_id"),
        belongs_to("reminder_template_id", "sms_templates"),
        Index("ix_appointment_types_template", "practice_id", "reminder_template_id"),
    )


class NoSuchPractice(NotThere):
    def __init__(self, practice_id: str) -> None:
        super().__init__(f"There is no practice {practice_id!r}.")


def get_practice(session: Session, practice_id: str) -> Practice:
    """Raises NoSuchPractice."""
    practice = session.scalar(select(Practice).where(Practice.id == practice_id))
    if practice is None:
        raise NoSuchPractice(practice_id)
    return practice


def find_practice(session: Session, practice_id: str) -> Practice | None:
    return session.scalar(select(Practice).where(Practice.id == practice_id))


def record_practice(session: Session, values: Mapping[str, Any]) -> bool:
    """A new practice; False where its id or its number as sender is taken already."""
    table = table_of(Practice)
    return session.scalar(insert_ignoring(session, table).returning(table.c.id), values) is not None


def is_sender_taken(session: Session, practice_id: str, sender: str) -> bool:
    """Whether the sender is a number that another practice of the host has."""
    taken = select(Practice.id).where(
        Practice.sender == sender, Practice.sender.startswith("+"), Practice.id != practice_id
    )
    return session.scalar(taken.limit(1)) is not None


def is_alone(practice_id: BindParameter[str]) -> ColumnElement[bool]:
    """Whether the host serves no other practice; part of a query."""
    others = aliased(Practice)
    return ~select(others.id).where(others.id != practice_id).exists()


def lock_practice(session: Session, practice_id: str) -> Practice:
    """The practice, with its row locked until the transaction ends.

    Whoever changes messages or credits takes this lock first, so that credits go in one order and no two
    transactions wait for each other. Raises NoSuchPractice.
    """
    practice = session.scalar(
        select(Practice)
        .where(Practice.id == practice_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if practice is None:
        raise NoSuchPractice(practice_id)
    return practice


def list_practices(session: Session) -> Sequence[Practice]:
    """Of the whole host, by id."""
    return session.scalars(select(Practice).order_by(Practice.id)).all()


def list_businesses(session: Session) -> Sequence[Business]:
    return session.scalars(select(Business).order_by(Business.id)).all()


def get_with_businesses(session: Session, practice_id: str) -> tuple[Practice, list[Business]]:
    """The practice and its businesses by id, in one query. Raises NoSuchPractice."""
    rows = session.execute(_WITH_BUSINESSES, {"practice": practice_id}).all()
    if not rows:
        raise NoSuchPractice(practice_id)
    return rows[0][0], [business for _, business in rows if business]


_WITH_BUSINESSES = (
    select(Practice, Business)
    .join(Business, Business.practice_id == Practice.id, isouter=True)
    .where(Practice.id == bindparam("practice"))
    .order_by(Business.id)
)


def list_practitioners(session: Session, most: int | None = None, skip: int = 0) -> Sequence[Practitioner]:
    """By name."""
    by_name = select(Practitioner).order_by(Practitioner.last_name, Practitioner.first_name, Practitioner.id)
    return session.scalars(by_name.limit(most).offset(skip)).all()


def list_types(session: Session) -> Sequence[AppointmentType]:
    return session.scalars(select(AppointmentType).order_by(AppointmentType.name, AppointmentType.id)).all()


def find_names(
    session: Session, practice_id: str, practitioner_id: int | None, type_id: int | None
) -> tuple[str, str]:
    """Of a practitioner and of an appointment type, in one query; empty where there is none."""
    row = session.execute(
        select(Practitioner, AppointmentType.name)
        .select_from(Practice)
        .join(Practitioner, Practitioner.id == practitioner_id, isouter=True)
        .join(AppointmentType, AppointmentType.id == type_id, isouter=True)
        .where(Practice.id == practice_id)
    ).one()
    return (row[0].full_name if row[0] else ""), row[1] or ""


def list_templates(session: Session) -> Sequence[SmsTemplate]:
    return session.scalars(select(SmsTemplate).order_by(SmsTemplate.name, SmsTemplate.id)).all()


def list_clocks(session: Session) -> Sequence[tuple[str, int, int, str]]:
    """(practice, window start, business, time zone) of every business of the host."""
    return session.execute(
        select(Practice.id, Practice.window_start, Business.id, Business.timezone).join(
            Business, Business.practice_id == Practice.id
        )
    ).all()


def has_unwatched(session: Session) -> bool:
    return session.scalar(select(Business.id).where(Business.watched_since.is_(None)).limit(1)) is not None


def watch_unwatched(session: Session, at: datetime) -> None:
    session.execute(
        update(Business)
        .where(Business.watched_since.is_(None))
        .values(watched_since=at)
        .execution_options(synchronize_session=False)
    )


def list_watched(session: Session) -> Sequence[tuple[str, int, int, str, date | None]]:
    """(practice, window start, business, time zone, accounted until) of the host's watched businesses."""
    return session.execute(
        select(
            Practice.id,
            Practice.window_start,
            Business.id,
            Business.timezone,
            Business.accounted_until,
        )
        .join(Business, Business.practice_id == Practice.id)
        .where(Business.watched_since.is_not(None))
        .order_by(Practice.id, Business.id)
    ).all()


_FIRST_BUSINESS = aliased(Business)
# By whose clocks a time is told that is of no business.
FIRST_ZONE = select(_FIRST_BUSINESS.timezone).order_by(_FIRST_BUSINESS.id).limit(1).scalar_subquery()
OWN_OR_FIRST_ZONE = func.coalesce(Business.timezone, FIRST_ZONE)


def list_zones(session: Session) -> dict[int, str]:
    """Each business's time zone, by its row id."""
    return dict(session.execute(select(Business.id, Business.timezone)).all())
