"""The facts of many appointments in three queries: what the pass, the worker, the preview and the diagnosis
hand to the decision."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, and_, or_, select, text
from sqlalchemy.orm import Session

from portal.core.ahead import day_begins
from portal.core.broadcasts import Whom
from portal.core.reasons import Reason
from portal.core.reminders import Facts
from portal.core.states import HANDED_OVER, RETRIED_BY_PASS, Kind, Status
from portal.core.text import Details, Template, TemplateError, compile_template
from portal.core.timing import due_date
from portal.store.appointments import Appointment
from portal.store.messages import Message, MessageEvent, has_reason, is_its_reminder
from portal.store.parts import Parts
from portal.store.patients import OptOut, Patient, PhoneRow, list_numbers, list_opt_outs, numbers_of, with_numbers
from portal.store.practices import AppointmentType, Business, Practice, Practitioner, SmsTemplate


@dataclass(frozen=True, slots=True)
class MessageState:
    """The reminder's row in the log, as far as the next step depends on it."""

    id: int
    status: Status
    reasons: tuple[Reason, ...]
    patient_id: int | None
    sender: str | None
    to: str | None
    body: str | None
    segments: int | None
    charged: int
    next_at: datetime | None
    deadline_at: datetime | None
    attempts: int
    refused: str | None
    written_by: str | None
    own_words: bool
    was_in_doubt: bool


@dataclass(frozen=True, slots=True)
class Reminder:
    """An appointment with the facts that decide on its reminder, and the reminder's row where it has one."""

    appointment_id: int
    external_id: str
    business_id: int
    patient_id: int
    revision: int
    timezone: str
    starts_at: datetime
    booked_at: datetime  # or moved to its time
    cancelled_at: datetime | None
    facts: Facts
    message: MessageState | None


_DAY = timedelta(days=1)
_LONGEST_WAIT = timedelta(days=2)  # of a reminder, from its first pass until it goes or not
# What counts towards the texts of a day. Of two that wait, neither stands in the other's way: the pass that queued
# both has counted them.
_SPOKEN_FOR = HANDED_OVER | {Status.QUEUED}
_AT_ONCE = 2000  # below every database's limit of values in one statement

_APPOINTMENT = (
    Appointment.id,
    Appointment.external_id,
    Appointment.business_id,
    Appointment.patient_id,
    Appointment.revision,
    Appointment.timezone,
    Appointment.starts_at,
    Appointment.booked_at,
    Appointment.moved_at,
    Appointment.cancelled_at,
    Appointment.starts_wall,
    Appointment.ends_wall,
)
_SETTINGS = (
    Business.sms_reminders,
    Business.name,
    Business.contact_number,
    AppointmentType.name,
    SmsTemplate.body,
    SmsTemplate.problem,
    Practitioner.title,
    Practitioner.first_name,
    Practitioner.last_name,
    Patient.first_name,
    Patient.last_name,
    Patient.preference,
    Patient.archived,
    Patient.consented_on,
)
MESSAGE_STATE = (
    Message.id,
    Message.status,
    Message.reasons,
    Message.patient_id,
    Message.sender,
    Message.to,
    Message.body,
    Message.segments,
    Message.charged,
    Message.next_at,
    Message.deadline_at,
    Message.attempts,
    Message.refused,
    Message.written_by,
    Message.own_words,
    Message.was_in_doubt,
)

_PATIENT, _TIMEZONE, _STARTS_WALL = (
    _APPOINTMENT.index(column) for column in (Appointment.patient_id, Appointment.timezone, Appointment.starts_wall)
)
_COLUMNS = (*_APPOINTMENT, *_SETTINGS, *MESSAGE_STATE)
_SELECT = (
    select(*_COLUMNS)
    .select_from(Appointment)
    .join(Business, Business.id == Appointment.business_id)
    .join(AppointmentType, AppointmentType.id == Appointment.appointment_type_id)
    .join(SmsTemplate, SmsTemplate.id == AppointmentType.reminder_template_id, isouter=True)
    .join(Practitioner, Practitioner.id == Appointment.practitioner_id)
    .join(Patient, Patient.id == Appointment.patient_id)
    .join(Message, is_its_reminder, isouter=True)
)


def list_due(session: Session, practice: Practice, days: Sequence[tuple[int, date]], at: datetime) -> list[Reminder]:
    """The reminders that a pass at `at` takes up, for each (business, local date of the appointments): booked
    and not cancelled by then, and none queued or sent. In the order in which credits go."""
    due = [
        reminder
        for business_id, day in days
        for reminder in _list(
            session,
            practice,
            Appointment.business_id == business_id,
            Appointment.starts_on == day,
            Appointment.booked_at <= at,
            or_(Appointment.cancelled_at.is_(None), Appointment.cancelled_at > at),
            or_(Message.id.is_(None), Message.status.in_(RETRIED_BY_PASS)),
        )
    ]
    return sorted(due, key=in_turn)


def in_turn(reminder: Reminder) -> tuple[datetime, str]:
    """The order in which credits go."""
    return reminder.starts_at, reminder.external_id


def list_of_day(session: Session, practice: Practice, business_id: int, day: date) -> list[Reminder]:
    """Every appointment of a business's local day, whatever became of its reminder."""
    return _list(session, practice, Appointment.business_id == business_id, Appointment.starts_on == day)


def list_page_of_day(
    session: Session,
    practice: Practice,
    business_ids: Collection[int],
    day: date,
    after: tuple[datetime, int] | None,
    most: int,
) -> list[Reminder]:
    """Some appointments of these businesses' local day, by (start, id), from the one after `after` on."""
    where = [Appointment.business_id.in_(business_ids), Appointment.starts_on == day]
    if after:
        starts_at, id_ = after
        where.append(
            or_(Appointment.starts_at > starts_at, and_(Appointment.starts_at == starts_at, Appointment.id > id_))
        )
    page = _SELECT.where(*where).order_by(Appointment.starts_at, Appointment.id).limit(most)
    return _read(session, practice, page)


def list_ahead(
    session: Session, practice: Practice, days: Mapping[date, Collection[int]], now: datetime, most: int
) -> list[Reminder]:
    """The appointments of each day at these businesses, whatever became of their reminders; and those that begin
    earlier, from now on, and have none. By start, the first so many."""
    businesses = [business_id for ids in days.values() for business_id in ids]
    of_a_day = [and_(Appointment.starts_on == day, Appointment.business_id.in_(ids)) for day, ids in days.items()]
    without = and_(Message.id.is_(None), Appointment.starts_at > now, Appointment.cancelled_at.is_(None))
    wanted = _SELECT.where(
        Appointment.business_id.in_(businesses),
        Appointment.starts_on.between((now - _DAY).date(), max(days)),
        or_(*of_a_day, without),
    )
    return _read(session, practice, wanted.order_by(Appointment.starts_at, Appointment.id).limit(most))


def list_to_decide(
    session: Session, practice: Practice, businesses: Collection[int], first: date, last: date, most: int
) -> list[Reminder]:
    """The appointments of these local dates on which a pass may still decide. By date, the first so many."""
    wanted = _SELECT.where(
        Appointment.business_id.in_(businesses),
        Appointment.starts_on.between(first, last),
        Appointment.cancelled_at.is_(None),
        or_(Message.id.is_(None), Message.status.in_(RETRIED_BY_PASS)),
    )
    return _read(session, practice, wanted.order_by(Appointment.starts_on, Appointment.id).limit(most))


def list_held_back(session: Session, practice: Practice, since: datetime, most: int) -> list[Reminder]:
    """The reminders that were not sent because sending was off, as was decided since then. The last so many."""
    was_decided = (
        select(MessageEvent.id)
        .where(
            MessageEvent.message_id == Message.id,
            MessageEvent.at >= since,
            MessageEvent.event == Status.NOT_SENT.value,
        )
        .exists()
    )
    held = (
        select(Message.id)
        .where(
            Message.created_at >= since - _LONGEST_WAIT,
            Message.status == Status.NOT_SENT,
            text(f"messages.{has_reason(Reason.SENDING_OFF)}"),
            Message.kind == Kind.REMINDER,
            was_decided,
        )
        .order_by(Message.created_at.desc(), Message.id.desc())
        .limit(most)
        .correlate(None)
    )
    return _list(session, practice, Message.id.in_(held))


def list_of_whom(session: Session, practice: Practice, whom: Whom, now: datetime) -> list[Reminder]:
    """The appointments of a message to those of a day, for whose text no earlier one of the day counts."""
    return _list(session, practice, *conditions_of(whom, now), counted=())


def conditions_of(whom: Whom, now: datetime) -> list[ColumnElement[bool]]:
    """Which appointments of its day a message to many is about."""
    conditions: list[ColumnElement[bool]] = [Appointment.starts_on == whom.day]
    if not whom.with_cancelled:
        conditions.append(or_(Appointment.cancelled_at.is_(None), Appointment.cancelled_at > now))
    if whom.business_id is not None:
        conditions.append(Appointment.business_id == whom.business_id)
    else:  # an index has each business's days
        conditions.append(Appointment.business_id.in_(select(Business.id)))
    if whom.practitioner_id is not None:
        conditions.append(Appointment.practitioner_id == whom.practitioner_id)
    if whom.appointment_type_id is not None:
        conditions.append(Appointment.appointment_type_id == whom.appointment_type_id)
    return conditions


@dataclass(frozen=True, slots=True)
class Found:
    """One appointment with the rows that its reminder depends on: `numbers` in the order entered, `opt_outs` that
    hold for the patient or one of these numbers, the newest first."""

    practice: Practice
    appointment: Appointment
    business: Business
    type: AppointmentType
    template: SmsTemplate | None
    patient: Patient
    message: Message | None
    numbers: tuple[PhoneRow, ...]
    opt_outs: tuple[OptOut, ...]
    reminder: Reminder


_ROWS = (Practice, Appointment, Business, AppointmentType, SmsTemplate, Patient, Message)
_FIND = with_numbers(_SELECT.add_columns(*_ROWS).join(Practice, Practice.id == Appointment.practice_id))


def find(session: Session, which: ColumnElement[bool], *, for_staff: bool = False) -> Found | None:
    """All of it in two queries: a page that shows one appointment asks no more. `for_staff`: for a text of theirs, to
    which the day's automatic ones do not matter; in one."""
    rows = session.execute(_FIND.where(which)).all()
    if not rows:
        return None
    practice, appointment, business, type_, template, patient, message, *_ = rows[0][len(_COLUMNS) :]
    numbers, opt_outs = numbers_of(rows)
    reminder = _reminder(
        rows[0][: len(_COLUMNS)],
        practice,
        practice.countries,
        {patient.id: [number.as_number() for number in numbers]},
        frozenset(opt_out.patient_id for opt_out in opt_outs if opt_out.patient_id),
        frozenset(opt_out.e164 for opt_out in opt_outs if opt_out.e164),
        {} if for_staff else list_texts(session, [patient.id], [_day_of(rows[0], practice)], _SPOKEN_FOR),
    )
    return Found(practice, appointment, business, type_, template, patient, message, numbers, opt_outs, reminder)


def imagine(session: Session, parts: Parts, appointment: Appointment, message: MessageState | None) -> Reminder:
    """Of an appointment as it is not yet, made of all these parts. `message`: its reminder's row."""
    there: dict[Any, Any] = {
        type(part): part for part in (parts.business, parts.practitioner, parts.type, parts.template, parts.patient)
    }
    row = (
        *[getattr(appointment, column.key) for column in _APPOINTMENT],
        *[getattr(there.get(column.class_), column.key, None) for column in _SETTINGS],
        *([getattr(message, field.name) for field in fields(message)] if message else [None] * len(MESSAGE_STATE)),
    )
    day = _day_of(row, parts.practice)
    return _reminder(
        row,
        parts.practice,
        parts.practice.countries,
        {appointment.patient_id: [number.as_number() for number in parts.numbers]},
        frozenset(opt_out.patient_id for opt_out in parts.opt_outs if opt_out.patient_id),
        frozenset(opt_out.e164 for opt_out in parts.opt_outs if opt_out.e164),
        list_texts(session, [appointment.patient_id], [day], _SPOKEN_FOR),
    )


def list_of_messages(session: Session, practice: Practice, message_ids: Sequence[int]) -> dict[int, Reminder]:
    """By message id. A message that belongs to an appointment's former revision is left out."""
    found = _list(session, practice, Message.id.in_(message_ids), counted=HANDED_OVER)
    return {reminder.message.id: reminder for reminder in found if reminder.message}


def list_of_appointments(session: Session, practice: Practice, appointment_ids: Sequence[int]) -> dict[int, Reminder]:
    """By appointment id."""
    found = _list(session, practice, Appointment.id.in_(appointment_ids))
    return {reminder.appointment_id: reminder for reminder in found}


# A day's appointments share a few templates.
@lru_cache(maxsize=256)
def usable_template(body: str | None, problem: str | None) -> Template | None:
    """None where the type has none, or a draft that cannot be used."""
    if body is None or problem is not None:
        return None
    try:
        return compile_template(body)
    except TemplateError:
        return None


def _list(
    session: Session, practice: Practice, *where: ColumnElement[bool], counted: Collection[Status] = _SPOKEN_FOR
) -> list[Reminder]:
    return _read(session, practice, _SELECT.where(*where), counted)


def _read(
    session: Session, practice: Practice, wanted: Executable, counted: Collection[Status] = _SPOKEN_FOR
) -> list[Reminder]:
    found: list[Reminder] = []
    countries = practice.countries
    for rows in session.execute(wanted).partitions(_AT_ONCE):
        patients = {row[_PATIENT] for row in rows}
        numbers = list_numbers(session, patients)
        opted_patients, opted_numbers = list_opt_outs(
            session, patients, {n.e164 for theirs in numbers.values() for n in theirs if n.e164}
        )
        starts = {(row[_TIMEZONE], row[_STARTS_WALL].date()) for row in rows}  # a day's are alike
        days = {(zone, due_date(starts_on, practice.lead_days)) for zone, starts_on in starts}
        texts = list_texts(session, patients, days, counted)
        found += [_reminder(row, practice, countries, numbers, opted_patients, opted_numbers, texts) for row in rows]
    return found


def _day_of(row: Any, practice: Practice) -> tuple[str, date]:
    """The zone and the local date on which the reminder is due."""
    return row[_TIMEZONE], due_date(row[_STARTS_WALL].date(), practice.lead_days)


def list_texts(
    session: Session, patients: Collection[int], days: Collection[tuple[str, date]], counted: Collection[Status]
) -> dict[tuple[int, str, date], set[int]]:
    """The ids of the automatic texts that were decided on each of these (zone, local date)s, by patient, zone and
    date. A reminder that staff have sent by hand is none."""
    if not patients or not counted:
        return {}
    bounds = {day: (day_begins(day[1], day[0]), day_begins(day[1] + _DAY, day[0])) for day in days}
    rows = session.execute(
        select(Message.patient_id, Message.id, Message.pass_at).where(
            Message.patient_id.in_(patients),
            Message.pass_at >= min(begin for begin, _ in bounds.values()),
            Message.pass_at < max(end for _, end in bounds.values()),
            Message.status.in_(counted),
            Message.written_by.is_(None),
        )
    ).all()
    found: dict[tuple[int, str, date], set[int]] = {}
    for patient_id, id_, at in rows:
        assert patient_id is not None and at is not None  # as was asked for
        for (zone, day), (begin, end) in bounds.items():
            if begin <= at < end:
                found.setdefault((patient_id, zone, day), set()).add(id_)
    return found


def _reminder(
    row: Any,
    practice: Practice,
    countries: frozenset[str],
    numbers: dict[int, list[Any]],
    opted_patients: frozenset[int],
    opted_numbers: frozenset[str],
    texts: Mapping[tuple[int, str, date], AbstractSet[int]],
) -> Reminder:
    (
        appointment_id,
        external_id,
        business_id,
        patient_id,
        revision,
        timezone,
        starts_at,
        booked_at,
        moved_at,
        cancelled_at,
        starts_wall,
        ends_wall,
        business_on,
        business_name,
        contact_number,
        type_name,
        body,
        problem,
        title,
        practitioner_first,
        practitioner_last,
        first_name,
        last_name,
        preference,
        archived,
        consented_on,
        *message,
    ) = row
    theirs = texts.get((patient_id, *_day_of(row, practice)), frozenset()) if texts else frozenset()
    left_out, booked_or_moved_at = practice.left_out, max(booked_at, moved_at or booked_at)
    return Reminder(
        appointment_id,
        external_id,
        business_id,
        patient_id,
        revision,
        timezone,
        starts_at,
        booked_or_moved_at,
        cancelled_at,
        Facts(
            sending=practice.sending,
            business_reminders_on=business_on,
            template=usable_template(body, problem),
            numbers=numbers.get(patient_id, ()),
            countries=countries,
            preference=preference,
            default_preference=practice.default_preference,
            patient_opted_out=patient_id in opted_patients,
            opted_out_numbers=opted_numbers,
            archived=archived,
            details=Details(
                patient_first_name=first_name,
                patient_last_name=last_name,
                practitioner_title=title,
                practitioner_first_name=practitioner_first,
                practitioner_last_name=practitioner_last,
                business_name=business_name,
                business_contact_number=contact_number,
                appointment_type_name=type_name,
                starts_local=starts_wall,
                ends_local=ends_wall,
                country=practice.country,
            ),
            texts_that_day=len(theirs - {message[0]}),
            has_consented=consented_on is not None,
            was_reminded_elsewhere=left_out is not None and left_out.covers(starts_wall.date(), booked_or_moved_at),
        ),
        MessageState(*message) if message[0] is not None else None,
    )
