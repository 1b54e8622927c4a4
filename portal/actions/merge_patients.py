"""Two records of one person become one: everything that hangs on the one that goes is the other's from then on.

The record that goes stays as a trace, and its id in the export stands for the one that is kept. Nobody is texted
twice by it: of two texts of the same words the one that still waits is withdrawn. Everything else that waits goes on,
and is decided on once more before it is sent, by the record that is kept. The stricter wish holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.duplicates import known_as
from portal.actions.patients import NoSuchPatient
from portal.actions.stop import stop_messages, stops_of
from portal.actions.who import Who, note_change
from portal.core import contacts
from portal.core.duplicates import consent_holds, stricter
from portal.core.numbers import PhoneType
from portal.core.phrases import plain
from portal.core.reasons import Reason
from portal.core.states import Kind, Status
from portal.core.timing import local
from portal.store.broadcasts import BroadcastRecipient
from portal.store.changes import Subject, list_last
from portal.store.imported import update_rows
from portal.store.merges import APART, Apart, Merge
from portal.store.messages import Message
from portal.store.patients import Patient, PhoneRow
from portal.store.practices import Practice

_NOTE = "merged"
_NO_VALUE = "none"

# What is looked at row by row; whatever else refers to a patient is passed on as it is.
_HANDLED = (
    (PhoneRow, "patient_id"),
    (Message, "patient_id"),
    (Merge, "gone_id"),
    (Merge, "kept_id"),
    (Apart, "first_id"),
    (Apart, "second_id"),
)
_HAS_IT = frozenset(
    {Status.QUEUED, Status.SENDING, Status.SENT, Status.DELIVERED, Status.UNCONFIRMED, Status.UNKNOWN}
)  # or will have it


class CannotMerge(ValueError):
    """The text says what is to be done first."""


@dataclass(frozen=True, slots=True)
class _Merging:
    session: Session
    practice: Practice
    kept: Patient
    gone: Patient
    who: Who
    now: datetime

    def note(self, field: str, before: str, after: str, note: str = _NOTE) -> None:
        note_change(self.session, self.who, self.now, Subject.PATIENT, self.kept.id, field, before, after, note)


def merge(
    practice_id: str,
    kept_id: int,
    gone_id: int,
    *,
    confirmed: bool,
    has_agreed: bool = False,
    who: Who,
    now: datetime,
) -> None:
    """It cannot be undone. `has_agreed`: to be texted again, where the record that goes is archived and the other is
    not. Raises NoSuchPatient, CannotMerge."""
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        kept, gone = session.get(Patient, kept_id), session.get(Patient, gone_id)
        if kept is None or gone is None or kept_id == gone_id:
            raise NoSuchPatient
        if not confirmed:
            raise CannotMerge("Tick that they are one person: a merge cannot be undone.")
        if gone.archived and not kept.archived and not has_agreed:
            raise CannotMerge(
                "One of them is archived: tick that the patient has agreed to be texted again, or keep that record."
            )
        if store.merges.is_to_many_under_way(session):
            # It goes through the patients by their ids, and would pass over some.
            raise CannotMerge("A message to many is being prepared. Try again in a few minutes.")
        merging = _Merging(session, practice, kept, gone, who, now)
        _keep_wishes(merging)
        _fill_what_is_blank(merging)
        first_place = _take_over_numbers(merging)
        _merge_messages_to_many(merging)
        _take_over_messages(merging)
        store.merges.take_over_apart(session, gone_id, kept_id)
        store.merges.take_over_aliases(session, gone_id, kept_id, first_place)
        session.add(
            Merge(
                gone_id=gone_id,
                external_id=gone.external_id,
                kept_id=kept_id,
                first_place=first_place,
                at=now,
                by=who.name,
                by_id=who.user_id,
            )
        )
        session.flush()
        store.merges.pass_on(session, gone_id, kept_id, _HANDLED)
        store.merges.leave_a_trace(session, gone_id, kept_id)
        record = f"{plain(gone.full_name) or 'a patient without a name'}, {known_as(gone.external_id)}"
        merging.note(contacts.MERGED, "", record, note="")
        session.flush()


# --- wishes, and what is known of the person ----------------------------------------------------------------------


def _keep_wishes(m: _Merging) -> None:
    """Opt-outs of the patient come along as they are; those of a number hold whoever has it."""
    default = m.practice.default_preference
    wish = stricter(m.kept.preference, m.gone.preference)
    words = [contacts.preference_in_words(one, default) for one in (m.kept.preference, wish)]
    m.kept.preference = wish
    m.note(contacts.PREFERENCE, *words)
    if m.gone.archived and not m.kept.archived:  # which the patient has agreed to
        m.note(contacts.ARCHIVED, "yes", "no")
    _keep_consent(m)


def _keep_consent(m: _Merging) -> None:
    """To marketing: the later one, unless it was withdrawn on either record since."""
    last = list_last(m.session, [(Subject.PATIENT, one.id, contacts.CONSENT) for one in (m.kept, m.gone)])
    businesses = store.practices.list_businesses(m.session)
    zone = businesses[0].timezone if businesses else "UTC"
    withdrawn = [
        local(change.at, zone).date()
        for one in (m.kept, m.gone)
        if one.consented_on is None and (change := last.get((Subject.PATIENT, one.id, contacts.CONSENT)))
    ]
    given = [
        (one.consented_on, one.consent_source)
        for one in (m.kept, m.gone)
        if one.consented_on is not None and consent_holds(one.consented_on, withdrawn)
    ]
    before = _consent(m.kept.consented_on)
    m.kept.consented_on, m.kept.consent_source = max(given, key=lambda one: one[0]) if given else (None, None)
    m.note(contacts.CONSENT, before, _consent(m.kept.consented_on))


def _consent(given: date | None) -> str:
    return contacts.given_on(given) if given else contacts.NO_CONSENT


def _fill_what_is_blank(m: _Merging) -> None:
    if not m.kept.email.strip() and m.gone.email.strip():
        m.kept.email = m.gone.email
        m.note("email", _NO_VALUE, m.gone.email)
    if m.kept.date_of_birth is None and m.gone.date_of_birth is not None:
        m.kept.date_of_birth = m.gone.date_of_birth
        m.note("birth date", _NO_VALUE, m.gone.date_of_birth.isoformat())


# --- numbers ------------------------------------------------------------------------------------------------------


def _take_over_numbers(m: _Merging) -> int:
    """After those of the kept record. Returns the first place.

    One that the kept record has as well stays as a row that staff removed, so that the next import, which still
    speaks of it, does not bring it back.
    """
    first_place = _next_place(m)
    theirs = store.patients.list_number_rows(m.session, m.kept.id)
    rows = []
    for row in store.patients.list_all_number_rows(m.session, m.gone.id):
        m.session.expunge(row)  # written as columns: nobody of the staff has moved it
        removed_at = row.removed_at
        double = next((one for one in theirs if _is_same(one, row)), None)
        if double is not None and removed_at is None:
            removed_at = m.now
            _keep_as_mobile(m, double, row)
        changed = dict(row.staff_changed or {})
        if "position" in changed:
            changed["position"] += first_place
        rows.append(
            {
                "id": row.id,
                "patient_id": m.kept.id,
                "position": first_place + row.position,
                "staff_changed": changed or None,
                "removed_at": removed_at,
            }
        )
    update_rows(m.session, PhoneRow, m.practice.id, rows)
    return first_place


def _next_place(m: _Merging) -> int:
    """Behind the numbers of everybody who was merged into the kept record before."""
    last = max((one.first_place for one in store.merges.list_aliases(m.session, [m.kept.id])), default=0)
    # Of those who were merged into the one that goes, the numbers stand behind its own.
    return last + APART


def _is_same(one: PhoneRow, other: PhoneRow) -> bool:
    return one.number == other.number or (one.e164 is not None and one.e164 == other.e164)


def _keep_as_mobile(m: _Merging, kept: PhoneRow, gone: PhoneRow) -> None:
    """What was filed as Mobile on one of the records is a number that was texted."""
    if gone.type is PhoneType.MOBILE and kept.type is not PhoneType.MOBILE:
        before = contacts.filed(kept.type, kept.number)
        kept.type = PhoneType.MOBILE
        m.note(contacts.NUMBER, before, contacts.filed(kept.type, kept.number))


# --- messages -----------------------------------------------------------------------------------------------------


def _merge_messages_to_many(m: _Merging) -> None:
    """Each names the person once, and texts them once."""
    for kept, gone, broadcast in store.merges.list_named_twice(m.session, m.kept.id, m.gone.id):
        if kept.message_id is None or gone.message_id is None:
            broadcast.left_out -= 1
        else:
            broadcast.reached -= 1
        message_id, withdrawn = _which_text(m, kept, gone)
        m.session.delete(gone)
        if message_id is not None:
            kept.message_id, kept.reasons = message_id, ()
        m.session.flush()
        _withdraw(m, withdrawn)
    for message, other_id in store.merges.list_shared_texts(m.session, m.gone.id, m.kept.id):
        message.patient_id = other_id  # it goes to the number that these share
    m.session.flush()


def _which_text(
    m: _Merging, kept: BroadcastRecipient, gone: BroadcastRecipient
) -> tuple[int | None, Sequence[Message]]:
    """The text that is the person's, and what is withdrawn: never one that another patient relies on."""
    ids = [one.message_id for one in (kept, gone) if one.message_id is not None]
    if len(set(ids)) < 2:
        return (ids[0] if ids else None), ()
    texts = {id_: m.session.get_one(Message, id_) for id_ in ids}
    shared = store.merges.find_shared(m.session, ids, (m.kept.id, m.gone.id))
    mine, theirs = (texts[id_] for id_ in ids)
    if mine.status not in _HAS_IT:
        return theirs.id, ()
    if _waits_alone(theirs, shared):
        return mine.id, (theirs,)
    if theirs.status in _HAS_IT and _waits_alone(mine, shared):
        return theirs.id, (mine,)
    return mine.id, ()


def _waits_alone(message: Message, shared: set[int]) -> bool:
    return message.status is Status.QUEUED and message.id not in shared


def _take_over_messages(m: _Merging) -> None:
    """What staff wrote to both, in the same words, goes once."""
    ids = store.merges.list_message_ids(m.session, m.gone.id)
    waiting = store.merges.list_waiting(m.session, (m.kept.id, m.gone.id), Kind.MANUAL)
    said = {one.body for one in waiting if one.patient_id == m.kept.id}
    _withdraw(m, [one for one in waiting if one.patient_id == m.gone.id and one.body in said])
    store.messages.update_messages(
        m.session, [{"id": id_, "practice_id": m.practice.id, "patient_id": m.kept.id} for id_ in ids]
    )


def _withdraw(m: _Merging, messages: Sequence[Message]) -> None:
    queued = [(one.id, one.charged, one.was_in_doubt) for one in messages]
    stop_messages(m.session, m.practice.id, stops_of(queued, Status.CANCELLED, Reason.WITHDRAWN), m.now)


# --- they are two -------------------------------------------------------------------------------------------------


def say_they_are_two(practice_id: str, first_id: int, second_id: int, who: Who, now: datetime) -> bool:
    """They are not listed again. False where that is known already. Raises NoSuchPatient."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        first, second = sorted((first_id, second_id))
        if first == second or len(store.tidying.find_patients(session, (first, second))) < 2:
            raise NoSuchPatient
        if store.merges.are_apart(session, (first, second)):
            return False
        session.add(Apart(first_id=first, second_id=second, at=now, by=who.name, by_id=who.user_id))
        session.flush()
        return True


def find_kept(practice_id: str, patient_id: int) -> int | None:
    """To whom a record that was merged into another leads."""
    with store.reading(practice_id) as session:
        return store.merges.find_kept(session, patient_id)
