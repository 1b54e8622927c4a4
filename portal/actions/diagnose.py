"""Explain one appointment's reminder: what was recorded, what holds now, when the next try is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.remind import decide_in_turn
from portal.core.diagnosis import Case, Diagnosis, DueDay, Recorded, examine
from portal.core.numbers import number_to_text
from portal.core.reasons import Reason
from portal.core.reminders import cost
from portal.core.states import RETRIED_BY_PASS, Status
from portal.core.timing import due_date, local
from portal.core.wording import Context, recorded_reasons
from portal.store.appointments import Appointment
from portal.store.facts import Reminder
from portal.store.messages import Message, MessageEvent
from portal.store.patients import Patient
from portal.store.practices import Business, Practice

_DECISIONS = frozenset({Status.QUEUED.value, Status.NOT_SENT.value, Status.FAILED.value})
_DAY = timedelta(days=1)


class NoSuchAppointment(LookupError):
    def __init__(self, external_id: str) -> None:
        super().__init__(f"There is no appointment {external_id!r}.")


def diagnose(practice_id: str, external_id: str, now: datetime) -> Diagnosis:
    """Of the appointment with that id of the export. Raises NoSuchAppointment, NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice = store.practices.get_practice(session, practice_id)
        appointment = store.appointments.find_appointment(session, external_id)
        if appointment is None:
            raise NoSuchAppointment(external_id)
        message = store.messages.find_reminder(session, appointment.id, appointment.revision)
        events = store.messages.list_events(session, [message.id]).get(message.id, []) if message else []
        return examine(build_case(session, practice, appointment, message, events, now), now)


def build_case(
    session: Session,
    practice: Practice,
    appointment: Appointment,
    message: Message | None,
    events: Sequence[MessageEvent],
    now: datetime,
) -> Case:
    """`message`: the row of the appointment's present revision."""
    reminder = store.facts.list_of_appointments(session, practice, [appointment.id])[appointment.id]
    business = session.get_one(Business, appointment.business_id)
    due = find_due_day(session, practice, business, appointment.starts_on, now)
    booked_at, cancelled_at = _booked_at(appointment), appointment.cancelled_at
    next_pass_at = due.next_pass_at(booked_at, cancelled_at)
    is_unmet = message is None and next_pass_at is None
    (outcome,) = decide_in_turn(practice, [reminder])  # as a pass would now
    return Case(
        appointment=appointment.external_id,
        patient=_whom(session, reminder, message),
        timezone=appointment.timezone,
        starts_local=appointment.starts_wall,
        facts=reminder.facts,
        context=_context(session, practice, appointment, reminder, message, events, due, now),
        credits=practice.credits + (message.charged if message else 0),
        status=message.status if message else None,
        reasons=message.reasons if message else (),
        recorded=_recorded(session, business.id, events),
        message_id=message.id if message else None,
        unmet=due.unmet(booked_at, cancelled_at) if is_unmet else None,
        is_cancelled=cancelled_at is not None and next_pass_at is None,
        is_refused=outcome.reasons == (Reason.PROVIDER_REFUSED,),
        next_pass_at=next_pass_at,
    )


def _whom(session: Session, reminder: Reminder, message: Message | None) -> str:
    """The patient's name: of a message that went, whose it was then."""
    if message and message.patient_id and message.status not in RETRIED_BY_PASS:
        return session.get_one(Patient, message.patient_id).full_name
    details = reminder.facts.details
    return " ".join(filter(None, (details.patient_first_name, details.patient_last_name)))


def find_due_day(session: Session, practice: Practice, business: Business, starts_on: date, now: datetime) -> DueDay:
    """Of a business's appointments of that local date."""
    due_on = due_date(starts_on, practice.lead_days)
    times = store.diagnosis.list_pass_times(session, business.id, due_on, due_on)
    ran = {hour.hour: at for hour, at in times.items()}
    return DueDay(
        starts_on, practice.lead_days, business.timezone, practice.window_start, ran, business.watched_since, now
    )


def _booked_at(appointment: Appointment) -> datetime:
    return max(appointment.booked_at, appointment.moved_at or appointment.booked_at)


def _recorded(session: Session, business_id: int, events: Sequence[MessageEvent]) -> tuple[Recorded, ...]:
    """The decisions among the events that a pass made: those at a pass's instant. A worker's have their own."""
    decisions = [
        Recorded(event.at, Status(event.event), recorded_reasons(event.detail))
        for event in events
        if event.event in _DECISIONS
    ]
    if not decisions:
        return ()
    days = [decision.at.date() for decision in decisions]
    passes = set(store.diagnosis.list_pass_times(session, business_id, min(days) - _DAY, max(days) + _DAY).values())
    # That none ran was found by the first run after.
    return tuple(one for one in decisions if one.at in passes or Reason.NO_PASS_RAN in one.reasons)


def _context(
    session: Session,
    practice: Practice,
    appointment: Appointment,
    reminder: Reminder,
    message: Message | None,
    events: Sequence[MessageEvent],
    due: DueDay,
    now: datetime,
) -> Context:
    facts, zone = reminder.facts, appointment.timezone
    setting = store.diagnosis.get_setting(session, appointment.id)
    opt_out = store.diagnosis.find_opt_out(
        session, appointment.patient_id, number_to_text(facts.numbers, facts.countries)
    )
    begins, last_ran = due.begins, max(due.ran.values(), default=None)
    booked_at = _booked_at(appointment)

    def there(instant: datetime | None) -> datetime | None:
        return None if instant is None else local(instant, zone)

    context = Context(
        today=local(now, zone).date(),
        first_name=facts.details.patient_first_name,
        patient_id=setting.patient_external_id,
        business=facts.details.business_name,
        appointment_type=facts.details.appointment_type_name,
        template=setting.template_name or "",
        template_problem=setting.template_problem or "",
        sending=practice.sending,
        sending_changed=there(practice.sending_changed_at),
        sender=practice.sender,
        numbers=facts.numbers,
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
        was_watched=due.was_watched,
    )
    return context if message is None else with_message(context, message, events, zone)


def with_message(context: Context, message: Message, events: Sequence[MessageEvent], zone: str) -> Context:
    """What the row and its events add: the deadline, and what the provider said."""
    title = ""
    for event in events:
        reason, _, said = event.detail.partition(";")
        if event.event == Status.FAILED and reason == Reason.PROVIDER_REFUSED:
            title = said.partition(";")[2] or title  # a later pass's own event has none
    return replace(
        context,
        deadline=local(message.deadline_at, zone) if message.deadline_at else None,
        provider_code=message.provider_code or "",
        provider_title=title,
    )
