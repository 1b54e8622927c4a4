"""Explain one appointment's reminder: what was recorded, what holds now, when the next try is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.ahead import unmet_of
from portal.actions.queue_text import waits_until
from portal.actions.remind import decide_in_turn
from portal.actions.who import COMMAND_LINE
from portal.core import contacts
from portal.core.again import TAKEN_BACK_BY_STAFF
from portal.core.diagnosis import Case, Diagnosis, DueDay, Recorded, examine
from portal.core.numbers import number_to_text
from portal.core.reasons import Reason
from portal.core.reminders import cost
from portal.core.states import RETRIED_BY_PASS, Status
from portal.core.timing import PassHour, due_date, local
from portal.core.wording import Changed, Context, recorded_reasons
from portal.store.appointments import Appointment
from portal.store.changes import CREDITS, LEFT_OUT, REMINDER_TEMPLATE, SENDING, SMS_REMINDERS, Change, Key, Subject
from portal.store.facts import Found, Reminder
from portal.store.messages import Message, MessageEvent
from portal.store.patients import OptOut, Patient
from portal.store.practices import Business, Practice

_DECISIONS = frozenset({Status.QUEUED.value, Status.NOT_SENT.value, Status.FAILED.value})
_DAY = timedelta(days=1)


class NoSuchAppointment(store.NotThere):
    def __init__(self, external_id: str) -> None:
        super().__init__(f"There is no appointment {external_id!r}.")


def diagnose(practice_id: str, external_id: str, now: datetime) -> Diagnosis:
    """Of the appointment with that id of the export. Raises NoSuchAppointment, NoSuchPractice."""
    with store.reading(practice_id) as session:
        store.practices.get_practice(session, practice_id)
        found = store.facts.find(session, Appointment.external_id == external_id)
        if found is None:
            raise NoSuchAppointment(external_id)
        return examine(case_of(session, found, list_events(session, found), now), now)


def list_events(session: Session, found: Found) -> Sequence[MessageEvent]:
    message = found.message
    return store.messages.list_events(session, [message.id]).get(message.id, []) if message else ()


def case_of(
    session: Session,
    found: Found,
    events: Sequence[MessageEvent],
    now: datetime,
    last_changes: Mapping[Key, Change] | None = None,
) -> Case:
    """`events`: of its reminder. `last_changes`: of `list_changeable`, where they are read already."""
    if last_changes is None:
        last_changes = store.changes.list_last(session, list_changeable(found))
    practice, appointment, message, reminder = found.practice, found.appointment, found.message, found.reminder
    decisions = _decisions(events)
    due_on = due_date(appointment.starts_on, practice.lead_days)
    days = [due_on, *(decision.at.date() + around for decision in decisions for around in (-_DAY, _DAY))]
    times = store.diagnosis.list_pass_times(session, found.business.id, min(days), max(days))
    due = _due_day(practice, found.business, appointment.starts_on, times, now)
    cancelled_at = appointment.cancelled_at
    next_pass_at = due.next_pass_at(reminder.booked_at, cancelled_at)
    is_unmet = message is None and next_pass_at is None
    (outcome,) = decide_in_turn(practice, [reminder])  # as a pass would now
    return Case(
        appointment=appointment.external_id,
        patient=_whom(session, reminder, message),
        timezone=appointment.timezone,
        starts_local=appointment.starts_wall,
        facts=reminder.facts,
        context=replace(_context(found, last_changes, events, due, now), is_otherwise_now=not outcome.reasons),
        credits=practice.credits + (message.charged if message else 0),
        status=message.status if message else None,
        reasons=message.reasons if message else (),
        recorded=_of_passes(decisions, times),
        message_id=message.id if message else None,
        unmet=unmet_of(reminder, due) if is_unmet else None,
        is_cancelled=cancelled_at is not None and next_pass_at is None,
        is_refused=outcome.reasons == (Reason.PROVIDER_REFUSED,),
        is_by_staff=message is not None and message.written_by is not None,
        goes_at=waits_until(message, appointment.timezone, now) if message else None,
        next_pass_at=next_pass_at,
    )


def _whom(session: Session, reminder: Reminder, message: Message | None) -> str:
    """The patient's name: of a message that went, whose it was then."""
    if message and message.patient_id and message.status not in RETRIED_BY_PASS:
        return session.get_one(Patient, message.patient_id).full_name
    return reminder.facts.details.patient


def find_due_day(session: Session, practice: Practice, business: Business, starts_on: date, now: datetime) -> DueDay:
    """Of a business's appointments of that local date."""
    due_on = due_date(starts_on, practice.lead_days)
    times = store.diagnosis.list_pass_times(session, business.id, due_on, due_on)
    return _due_day(practice, business, starts_on, times, now)


def _due_day(
    practice: Practice, business: Business, starts_on: date, times: Mapping[PassHour, datetime], now: datetime
) -> DueDay:
    due_on = due_date(starts_on, practice.lead_days)
    ran = {hour.hour: at for hour, at in times.items() if hour.local_date == due_on}
    return DueDay(
        starts_on, practice.lead_days, business.timezone, practice.window_start, ran, business.watched_since, now
    )


def _decisions(events: Sequence[MessageEvent]) -> list[Recorded]:
    return [
        Recorded(event.at, Status(event.event), recorded_reasons(event.detail))
        for event in events
        if event.event in _DECISIONS
    ]


def _of_passes(decisions: Sequence[Recorded], times: Mapping[PassHour, datetime]) -> tuple[Recorded, ...]:
    """Those that a pass made: at a pass's instant. A worker's have their own."""
    passes = set(times.values())
    # That none ran was found by the first run after.
    return tuple(one for one in decisions if one.at in passes or Reason.NO_PASS_RAN in one.reasons)


def list_changeable(found: Found) -> list[Key]:
    """What people may have changed that the reminder depends on."""
    return list(_changeable(found))


def _changeable(found: Found) -> dict[Key, tuple[Reason, ...]]:
    """What people may have changed, and the reasons that ask about it."""
    patient, business, type_ = found.patient.id, found.business.id, found.type.id
    return {
        (Subject.PRACTICE, None, SENDING): (Reason.SENDING_OFF,),
        (Subject.PRACTICE, None, LEFT_OUT): (Reason.REMINDED_ELSEWHERE,),
        (Subject.BUSINESS, business, SMS_REMINDERS): (Reason.BUSINESS_REMINDERS_OFF,),
        (Subject.APPOINTMENT_TYPE, type_, REMINDER_TEMPLATE): (Reason.NO_TEMPLATE,),
        (Subject.PATIENT, patient, contacts.NUMBER): (
            Reason.NO_MOBILE_NUMBER,
            Reason.INVALID_MOBILE_NUMBER,
            Reason.NUMBER_NOT_IN_SERVICE,
        ),
        (Subject.PATIENT, patient, contacts.PREFERENCE): (Reason.PREFERS_EMAIL, Reason.PREFERS_NONE),
        (Subject.PATIENT, patient, contacts.OPT_OUT): (Reason.OPTED_OUT,),
        (Subject.PATIENT, patient, contacts.ARCHIVED): (Reason.PATIENT_ARCHIVED,),
        (Subject.PRACTICE, None, CREDITS): (Reason.NO_CREDITS,),
    }


def _context(
    found: Found,
    last_changes: Mapping[Key, Change],
    events: Sequence[MessageEvent],
    due: DueDay,
    now: datetime,
) -> Context:
    practice, appointment, reminder, message = found.practice, found.appointment, found.reminder, found.message
    facts, zone = reminder.facts, appointment.timezone
    opt_out = opt_out_that_holds(found)
    begins, last_ran = due.begins, max(due.ran.values(), default=None)
    booked_at = reminder.booked_at

    def there(instant: datetime | None) -> datetime | None:
        return None if instant is None else local(instant, zone)

    context = Context(
        today=local(now, zone).date(),
        first_name=facts.details.patient_first_name,
        patient_id=str(found.patient.id),
        appointment_id=str(appointment.id),
        business=facts.details.business_name,
        appointment_type=facts.details.appointment_type_name,
        template=found.template.name if found.template else "",
        template_problem=(found.template.problem or "") if found.template else "",
        sending=practice.sending,
        sending_changed=there(practice.sending_changed_at),
        left_out_until=practice.left_out_until,
        sender=practice.sender,
        numbers=facts.numbers,
        out_of_service=there(_out_of_service_since(found)),
        country=practice.country,
        countries=facts.countries,
        preference=facts.preference,
        default_preference=practice.default_preference,
        opt_out=opt_out.source if opt_out else "",
        opt_out_number=(opt_out.e164 or "") if opt_out else "",
        opted_out=there(opt_out.recorded_at) if opt_out else None,
        credits_left=practice.credits,
        credits_needed=cost(facts),
        credits_taken=message.charged if message else 0,
        last_chance=there(begins[-1]) if begins[-1] > now else None,
        booked=there(booked_at) if booked_at > (last_ran or begins[-1]) else None,
        was_moved=appointment.moved_at is not None,
        cancelled=there(appointment.cancelled_at),
        passes_begin=there(begins[0]),
        passes_end=there(due.ends),
        last_pass=there(last_ran),
        changes={
            reason: as_changed(change, zone)
            for key, reasons in _changeable(found).items()
            if (change := last_changes.get(key))
            for reason in reasons
        },
        was_watched=due.was_watched,
    )
    return context if message is None else with_message(context, message, events, zone)


def as_changed(change: Change, zone: str) -> Changed:
    """As it is told, by the clocks there."""
    by = "an administrator" if change.by == COMMAND_LINE.name else change.by
    return Changed(by, local(change.at, zone), change.note)


def _out_of_service_since(found: Found) -> datetime | None:
    """When the phone company said so of the number that would be texted."""
    to = number_to_text(found.reminder.facts.numbers, found.reminder.facts.countries)
    return next((row.out_of_service_at for row in found.numbers if row.is_out_of_service and row.e164 == to), None)


def opt_out_that_holds(found: Found) -> OptOut | None:
    """The newest for the patient, or for the number that would be texted."""
    to = number_to_text(found.reminder.facts.numbers, found.reminder.facts.countries)
    return next((one for one in found.opt_outs if one.patient_id is not None or one.e164 == to), None)


def with_message(context: Context, message: Message, events: Sequence[MessageEvent], zone: str) -> Context:
    """What the row and its events add: the deadline, what the provider said, and who took it back."""
    title, taken_back = "", None
    for event in events:
        if event.event in (Status.CANCELLED, TAKEN_BACK_BY_STAFF):
            is_taken_back = event.event == TAKEN_BACK_BY_STAFF
            taken_back = Changed(event.detail, local(event.at, zone)) if is_taken_back else None
        reason, _, said = event.detail.partition(";")
        if event.event == Status.FAILED and reason == Reason.PROVIDER_REFUSED:
            title = said.partition(";")[2] or title  # a later pass's own event has none
    return replace(
        context,
        deadline=local(message.deadline_at, zone) if message.deadline_at else None,
        provider_code=message.provider_code or "",
        provider_title=title,
        taken_back=taken_back,
    )
