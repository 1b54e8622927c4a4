"""What holds for the whole practice: its name, whom texts come from and where they go, and what patients get who have
no wish of their own."""

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal import store
from portal.actions.asking import Asked, SettingRefused, read_name
from portal.actions.businesses import weeks_of
from portal.actions.who import Who, note_change
from portal.core.numbers import country_name
from portal.core.phrases import counted, plain
from portal.core.reminders import Preference
from portal.core.senders import check_sender, is_number, read_sender
from portal.store.changes import COUNTRIES, DEFAULT_PREFERENCE, NAME, SENDER, Subject
from portal.store.practices import Practice

TEXTED = frozenset({Preference.SMS, Preference.SMS_AND_EMAIL})


def set_name(practice_id: str, typed: str, *, who: Who, now: datetime) -> bool:
    """Returns whether it was another before, as all of these do. Raises SettingRefused, NoSuchPractice."""
    name = read_name(typed, "The practice needs a name.")
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        before, practice.name = practice.name, name
        note_change(session, who, now, Subject.PRACTICE, None, NAME, before, name)
        session.flush()
        return before != name


def set_default_preference(practice_id: str, wanted: str, *, confirmed: bool, who: Who, now: datetime) -> bool:
    """Raises SettingRefused, Asked, NoSuchPractice."""
    if wanted not in list(Preference):
        raise SettingRefused("Choose what patients get who have no wish of their own.", "preference")
    new = Preference(wanted)
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        before = practice.default_preference
        if before is new:
            return False
        if not confirmed:
            raise Asked(_effects_on_patients(session, practice, new, now), f"Yes, they get: {new}")
        practice.default_preference = new
        note_change(session, who, now, Subject.PRACTICE, None, DEFAULT_PREFERENCE, before, new)
        session.flush()
        return True


def _effects_on_patients(session: Session, practice: Practice, new: Preference, now: datetime) -> list[str]:
    weeks = weeks_of(practice, store.practices.list_businesses(session), now)
    found = store.reminders.count_reach(session, practice.id, weeks)
    if not found.followers:
        return ["Every patient has a wish of their own: it changes nothing today, only for patients to come."]
    who_have = "who has no wish of their own" if found.followers == 1 else "who have no wish of their own"
    says = [
        f"It changes what {counted(found.followers, 'patient')} {'gets' if found.followers == 1 else 'get'}, "
        f"{who_have}; {found.to_come:,} with appointments whose reminders go in the next 7 days."
    ]
    if (practice.default_preference in TEXTED) is (new in TEXTED):
        says.append("For texts it makes no difference." if new in TEXTED else "They get no reminder by text, as now.")
    elif new in TEXTED:
        says.append("They are texted from the next reminders on, where they have a mobile number.")
    else:
        says.append("They get no reminder by text any more; the portal itself sends no email.")
    return says


def set_sender(practice_id: str, typed: str, *, confirmed: bool, who: Who, now: datetime) -> bool:
    """Raises SettingRefused, Asked, NoSuchPractice."""
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        try:
            new = read_sender(typed.strip(), practice.country)
        except ValueError as error:
            raise SettingRefused(f'"{plain(typed)}" cannot be the sender: {error}', "sender") from None
        before = practice.sender
        if new == before:
            return False
        check = check_sender(new, practice.country, practice.countries)
        if check.refused:
            raise SettingRefused(check.refused, "sender")
        if store.practices.is_sender_taken(session, practice_id, new):
            raise SettingRefused("This number is another practice's: replies to it would reach both.", "sender")
        if not confirmed:
            raise Asked((*_effects_on_texts(before, new), *check.warnings), f"Yes, texts come from {new}")
        practice.sender = new
        note_change(session, who, now, Subject.PRACTICE, None, SENDER, before, new)
        try:
            session.flush()
        except IntegrityError:  # taken at this very moment
            raise SettingRefused("This number is another practice's: choose another.", "sender") from None
        return True


def _effects_on_texts(before: str, new: str) -> list[str]:
    says = [f"Every text that has not gone yet comes from {new}, also reminders that wait."]
    if is_number(before):
        says.append(f"Patients who know the practice as {before} see another sender.")
    return says


def set_country(practice_id: str, code: str, *, sends_to: bool, confirmed: bool, who: Who, now: datetime) -> bool:
    """Whether the practice sends to that country, beside its own. Raises SettingRefused, Asked, NoSuchPractice."""
    if country_name(code) == code:
        raise SettingRefused("Choose a country of the list.", "country")
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        if code == practice.country:
            raise SettingRefused("The practice's own country always belongs to them.", "country")
        before = practice.also_sends_to.split()
        if sends_to is (code in before):
            return False
        if not confirmed and (asked := _asked_of_country(session, practice, code, sends_to=sends_to)):
            raise asked
        after = sorted({*before, code} if sends_to else {*before} - {code})
        practice.also_sends_to = " ".join(after)
        names = [", ".join(map(country_name, codes)) or "none" for codes in (before, after)]
        note_change(session, who, now, Subject.PRACTICE, None, COUNTRIES, *names)
        session.flush()
        return True


def _asked_of_country(session: Session, practice: Practice, code: str, *, sends_to: bool) -> Asked | None:
    name = country_name(code)
    if not sends_to:
        reached = store.patients.count_with_mobile_in(session, code)
        says = [f"{counted(reached, 'patient')} with a mobile number of {name} would get no text there any more."]
        return Asked(says, f"Yes, send no texts to {name}")
    if is_number(practice.sender):
        return None
    known = check_sender(practice.sender, practice.country, practice.countries).warnings
    new = check_sender(practice.sender, practice.country, practice.countries | {code}).warnings
    warnings = [one for one in new if one not in known]
    return Asked(warnings, f"Yes, send texts to {name} all the same") if warnings else None
