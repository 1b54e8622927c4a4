"""A test text: what a template says, sent to a number that staff typed, as a reminder would be."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.queue_text import SENT_WITHIN, ToQueue, queue_texts
from portal.actions.templates import Draft, TemplateProblem, show_example
from portal.actions.who import Who
from portal.actions.write import is_form_key, new_text
from portal.core.again import QUEUED_BY_STAFF
from portal.core.contacts import check_number
from portal.core.numbers import LineKind, PhoneType, as_people_say, parse_number
from portal.core.reasons import Reason
from portal.core.reminders import decide
from portal.core.states import Kind
from portal.core.text import PLACEHOLDERS, Details, count_parts, values
from portal.core.typed_text import problem_with, read_text, tidy
from portal.core.wording import Context, words
from portal.store.practices import Practice


def send_test_text(practice_id: str, draft: Draft, number: str, form_key: str, who: Who, now: datetime) -> int:
    """Queue it and take its credits; returns the message's id, which the caller enqueues. A form sent twice writes
    once and returns the same id.

    It speaks of the appointment that the preview shows, and of whoever sends it in the patient's place: what is typed
    amiss must tell nobody of a patient. It goes while the practice rehearses, too, and at any hour.

    Raises TemplateProblem of `text` or `number`, NoSuchTemplate, NoSuchPractice.
    """
    template, problem = read_text(draft.text or "", PLACEHOLDERS)
    if template is None:
        raise TemplateProblem("text", problem)
    if not is_form_key(form_key):
        raise TemplateProblem("number", "The form came without its number: open the page anew.")
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        if written := store.texts.find_by_form(session, form_key):
            return written.id
        checked = check_number(PhoneType.MOBILE, number, practice.country, practice.countries)
        parsed = parse_number(number, practice.country)
        e164 = parsed.e164
        if parsed.kind is LineKind.FIXED_LINE:  # nothing is filed here
            landline = as_people_say(e164 or "", practice.country)
            raise TemplateProblem("number", f"{landline} is a landline: type a mobile number that you can look at.")
        if not checked.is_well or e164 is None:
            raise TemplateProblem("number", checked.says or "Type a mobile number: yours, or one that you can see.")
        shown = show_example(session, practice, draft, now)
        text = tidy(template.fill(values(_of_oneself(shown.details, who))))
        if problem := problem_with(text):
            raise TemplateProblem("text", problem)
        decision = decide(store.test_texts.find_facts(session, practice, e164), practice.credits, text)
        if decision.reasons:
            needed = count_parts(text)
            raise TemplateProblem("number", _why_not(session, practice, decision.reasons, e164, needed))
        row = {**new_text(practice_id, shown.business_id, now, is_marketing=False), "kind": Kind.TEST}
        to_queue = ToQueue(row, None, decision, now + SENT_WITHIN, charged=0, own_words=True, goes_at=now)
        return queue_texts(session, practice, [to_queue], who, QUEUED_BY_STAFF, now, form_key=form_key)[0]


def _of_oneself(details: Details, who: Who) -> Details:
    first, _, last = who.name.strip().partition(" ")
    return replace(details, patient_first_name=first, patient_last_name=last)


def _why_not(session: Session, practice: Practice, reasons: Sequence[Reason], number: str, needed: int) -> str:
    opt_out = next(iter(store.replies.list_holding(session, number)), None)
    context = Context(
        sending=practice.sending,
        sender=practice.sender,
        country=practice.country,
        opt_out=opt_out.source if opt_out else "",
        opt_out_number=number,
        credits_left=practice.credits,
        credits_needed=needed,
    )
    said = [words(reason, context) for reason in reasons]
    return " ".join(f"{one.heading}. {one.says}" for one in said)
