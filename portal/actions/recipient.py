"""Whom a text of staff goes to: the facts that decide on it, and what stands in its way, in words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.diagnose import NoSuchAppointment, as_changed
from portal.actions.patients import NoSuchPatient
from portal.core import contacts
from portal.core.numbers import number_to_text
from portal.core.reasons import Reason
from portal.core.reminders import Facts
from portal.core.text import Template
from portal.core.timing import local
from portal.core.typed_text import fill_what_is_known
from portal.core.wording import Context, Words, words
from portal.store.appointments import Appointment
from portal.store.changes import CREDITS, SENDING, Key, Subject
from portal.store.facts import Found
from portal.store.patients import OptOut, Patient
from portal.store.practices import Business, Practice, SmsTemplate
from portal.store.texts import Person


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a text cannot go, in words. `reason`: None where it is for what became of the message or appointment."""

    words: Words
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """`visit`: the appointment whose details the facts hold, and its reminder. `business_id`: where the patient is
    seen. `known`: how the placeholders begin that the facts can fill."""

    practice: Practice
    patient: Patient
    facts: Facts
    opt_outs: Sequence[OptOut]
    zone: str
    business_id: int | None
    visit: Found | None
    known: tuple[str, ...]

    @property
    def to(self) -> str | None:
        return number_to_text(self.facts.numbers, self.facts.countries)

    def fill(self, template: Template) -> tuple[str, tuple[str, ...]]:
        """The text, and the placeholders that are left in it."""
        return fill_what_is_known(template, self.facts.details, self.known)


def find_recipient(session: Session, patient_id: int, now: datetime, appointment_id: int | None = None) -> Recipient:
    """With that appointment's details, else the next one's, where there is one. Raises NoSuchPatient,
    NoSuchAppointment."""
    if appointment_id is None:
        person = store.texts.find_person(session, patient_id, now)
        if person is None:
            raise NoSuchPatient
        if person.next_visit is None:
            business, is_theirs = store.texts.find_place(session, patient_id)
            return _without_visit(person, business, is_theirs)
        appointment_id = person.next_visit
    visit = store.facts.find(session, Appointment.id == appointment_id, for_staff=True)
    if visit is None or visit.patient.id != patient_id:
        raise NoSuchAppointment(str(appointment_id))
    facts, zone = visit.reminder.facts, visit.appointment.timezone
    return Recipient(visit.practice, visit.patient, facts, visit.opt_outs, zone, visit.business.id, visit, ("",))


def find_person(session: Session, patient_id: int, now: datetime) -> Recipient:
    """Whatever their appointments are. Raises NoSuchPatient."""
    person = store.texts.find_person(session, patient_id, now)
    if person is None:
        raise NoSuchPatient
    return _without_visit(person, None, is_theirs=False)


def _without_visit(person: Person, business: Business | None, is_theirs: bool) -> Recipient:
    facts = store.texts.facts_of(
        person.practice,
        person.patient,
        [row.as_number() for row in person.numbers],
        any(one.patient_id is not None for one in person.opt_outs),
        frozenset(one.e164 for one in person.opt_outs if one.e164),
        business,
    )
    return Recipient(
        person.practice,
        person.patient,
        facts,
        person.opt_outs,
        business.timezone if business else "UTC",
        business.id if business else None,
        None,
        ("Patient.", "Business.") if is_theirs else ("Patient.",),
    )


def obstacles(
    session: Session, recipient: Recipient, reasons: Sequence[Reason], needed: int, now: datetime
) -> tuple[Obstacle, ...]:
    """These reasons in words. `needed`: the credits that the text costs."""
    if not reasons:
        return ()
    context = context_of(session, recipient, needed, now)
    return tuple(Obstacle(words(reason, context), reason) for reason in reasons)


def context_of(session: Session, recipient: Recipient, needed: int | None, now: datetime) -> Context:
    """What the words say of the patient and the practice, and who set it so."""
    practice, patient, facts, visit, zone = (
        recipient.practice,
        recipient.patient,
        recipient.facts,
        recipient.visit,
        recipient.zone,
    )
    changed: dict[Key, tuple[Reason, ...]] = {
        (Subject.PRACTICE, None, SENDING): (Reason.SENDING_OFF,),
        (Subject.PATIENT, patient.id, contacts.NUMBER): (Reason.NO_MOBILE_NUMBER, Reason.INVALID_MOBILE_NUMBER),
        (Subject.PATIENT, patient.id, contacts.OPT_OUT): (Reason.OPTED_OUT,),
        (Subject.PATIENT, patient.id, contacts.ARCHIVED): (Reason.PATIENT_ARCHIVED,),
        (Subject.PRACTICE, None, CREDITS): (Reason.NO_CREDITS,),
    }
    last = store.changes.list_last(session, list(changed))
    return replace(
        context_now(practice, facts, recipient.opt_outs, visit.template if visit else None, zone, now),
        patient_id=str(patient.id),
        appointment_id=str(visit.appointment.id) if visit else "",
        credits_needed=needed,
        changes={
            reason: as_changed(change, zone)
            for key, reasons in changed.items()
            if (change := last.get(key))
            for reason in reasons
        },
    )


def context_now(
    practice: Practice,
    facts: Facts,
    opt_outs: Iterable[OptOut],
    template: SmsTemplate | None,
    zone: str,
    now: datetime,
) -> Context:
    """What the facts say of the patient and the practice, without who set it so. `template`: the reminder's, also a
    draft that cannot be used."""
    to = number_to_text(facts.numbers, facts.countries)
    opt_out = next((one for one in opt_outs if one.e164 in (None, to)), None)
    return Context(
        today=local(now, zone).date(),
        first_name=facts.details.patient_first_name,
        appointment_type=facts.details.appointment_type_name,
        template=template.name if template else "",
        template_problem=(template.problem or "") if template else "",
        sending=practice.sending,
        sending_changed=local(practice.sending_changed_at, zone) if practice.sending_changed_at else None,
        sender=practice.sender,
        numbers=facts.numbers,
        country=practice.country,
        countries=facts.countries,
        opt_out=opt_out.source if opt_out else "",
        opt_out_number=(opt_out.e164 or "") if opt_out else "",
        opted_out=local(opt_out.recorded_at, zone) if opt_out else None,
        credits_left=practice.credits,
    )
