"""What a change of an appointment will do to its reminder, decided as the pass will decide."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.diagnose import find_due_day
from portal.actions.recipient import context_now
from portal.actions.remind import decide_in_turn
from portal.core.effects import Act, Effect, Next, Text, effect, has_one_then
from portal.core.reminders import cost, decide
from portal.core.states import RETRIED_BY_PASS, Status
from portal.core.timing import has_come, local
from portal.core.wording import Context, words
from portal.store.facts import Reminder
from portal.store.messages import Message
from portal.store.patients import OptOut
from portal.store.practices import Business, Practice, SmsTemplate

_SET_A_TIME = (Act.ADDED, Act.MOVED)


def foresee(
    session: Session,
    act: Act,
    practice: Practice,
    business: Business,
    reminder: Reminder,
    message: Message | None,
    opt_outs: Collection[OptOut],
    template: SmsTemplate | None,
    now: datetime,
) -> Effect:
    """`reminder`, `business`, `template`: as they are after the change, the template also where it is a draft that
    cannot be used. `message`: the reminder's row before it. `opt_outs`: that hold for the patient or one of the
    patient's numbers."""
    zone = business.timezone
    text = text_of(message, zone)
    coming = _next(session, practice, business, reminder, text, opt_outs, template, now)
    name = reminder.facts.details.patient_first_name
    said = effect(act, name, text, coming, local(now, zone))
    if act in _SET_A_TIME and store.appointments.has_another(
        session, reminder.patient_id, reminder.starts_at, reminder.appointment_id, now
    ):
        return replace(said, warning=has_one_then(name))
    return said


def text_of(message: Message | None, zone: str) -> Text | None:
    """A reminder as the words take it, by the clocks there."""
    if message is None:
        return None
    sent_at = local(message.sent_at, zone) if message.sent_at else None
    # What was in doubt before is in doubt again, and stays paid.
    charged = 0 if message.was_in_doubt else message.charged
    return Text(message.status, sent_at, charged, message.written_by is not None)


def _next(
    session: Session,
    practice: Practice,
    business: Business,
    reminder: Reminder,
    text: Text | None,
    opt_outs: Collection[OptOut],
    template: SmsTemplate | None,
    now: datetime,
) -> Next:
    is_over = has_come(reminder.starts_at, now)
    waits = reminder.message if reminder.message and reminder.message.status is Status.QUEUED else None
    if is_over or has_come(reminder.cancelled_at, now):
        return Next(None, (), is_over)
    due = find_due_day(session, practice, business, reminder.facts.details.starts_local.date(), now)
    may_try = reminder.message is None or reminder.message.status in RETRIED_BY_PASS
    pass_at = due.next_pass_at(reminder.booked_at, reminder.cancelled_at) if may_try else None
    if pass_at is None and waits is None:
        return Next(None, (), is_over)
    # What was taken for the text that waits comes back, or is its own.
    if waits and waits.written_by:
        reasons = decide(reminder.facts, practice.credits + waits.charged, waits.body).reasons
    else:
        (outcome,) = decide_in_turn(practice, [reminder], practice.credits + (text.charged if text else 0))
        reasons = outcome.reasons
    context = _context(practice, reminder, opt_outs, template, now)
    there = local(pass_at, business.timezone) if pass_at else None
    return Next(there, tuple(words(reason, context) for reason in reasons), is_over)


def _context(
    practice: Practice, reminder: Reminder, opt_outs: Collection[OptOut], template: SmsTemplate | None, now: datetime
) -> Context:
    """What the words say of the patient and the practice."""
    facts = reminder.facts
    return replace(
        context_now(practice, facts, opt_outs, template, reminder.timezone, now),
        business=facts.details.business_name,
        preference=facts.preference,
        default_preference=practice.default_preference,
        credits_needed=cost(facts),
    )
