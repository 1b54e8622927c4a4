"""SMS templates: the list, the editor with its preview, and every change, which can be taken back."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy.orm import Session

from portal import store
from portal.actions.appointment_types import get_type, set_template
from portal.actions.businesses import weeks_of
from portal.actions.who import Who, note_change
from portal.actions.write import Weighed, weigh_exactly
from portal.core.phrases import counted, day_and_time, plain
from portal.core.templates import made_up, problem_with_name, tells_the_treatment, what_it_lacks
from portal.core.text import PLACEHOLDERS, Details, values
from portal.core.timing import local
from portal.core.typed_text import read_text, tidy
from portal.store.changes import NAME, TEXT, Change, Subject
from portal.store.examples import Example
from portal.store.facts import usable_template
from portal.store.imported import made_here_id
from portal.store.practices import AppointmentType, Business, Practice, SmsTemplate
from portal.store.reminders import Use

MOST_EXAMPLES = 10
MOST_CHANGES = 30


class NoSuchTemplate(store.NotThere):
    def __init__(self) -> None:
        super().__init__("There is no such template.")


class TemplateProblem(ValueError):
    """It cannot be saved so. `field`: where it is to be mended; the text says how."""

    def __init__(self, field: str, says: str) -> None:
        super().__init__(says)
        self.field = field


@dataclass(frozen=True, slots=True)
class Preview:
    """How a text reads. `text`: filled in, or as typed where it cannot be used; then `problem` says why. `of`: whose
    appointment shows it, None where it is made up. `gives_away`: what whoever holds the phone learns, `lacks`: where
    the text has a gap; or empty."""

    text: str
    weighed: Weighed
    problem: str
    of: Example | None
    gives_away: str
    lacks: str


@dataclass(frozen=True, slots=True)
class ShownTemplate:
    """`types`: the names of those that use it."""

    template: SmsTemplate
    preview: Preview
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Editor:
    """`template`, `use`: None of a new one. `seen`: how it stood when it was opened. `examples`: (appointment's id,
    whose and when) to choose from. `changes`: the newest first. `number`: to which this person sent a test text last,
    E.164. `zone`: where times are shown. `for_type`: which a new one is written for."""

    template: SmsTemplate | None
    name: str
    text: str
    seen: str
    preview: Preview
    examples: tuple[tuple[int, str], ...]
    types: tuple[str, ...]
    use: Use | None
    changes: Sequence[Change]
    templates: tuple[tuple[int, str], ...]
    number: str
    zone: str | None
    form_key: str
    for_type: AppointmentType | None

    @property
    def does(self) -> str:
        """What saving a change does, said first; empty where nothing is to come."""
        if self.use is None:
            return ""
        if self.template and self.template.problem:
            wait = "waits" if self.use.to_come == 1 else "wait"
            return f"{counted(self.use.to_come, 'reminder')} in the next 7 days {wait} until it is mended."
        said = [f"{counted(self.use.to_come, 'reminder')} in the next 7 days {_uses(self.use.to_come)} it"]
        if self.use.queued:
            are = "is" if self.use.queued == 1 else "are"
            said.append(f"{self.use.queued:,} already queued {are} sent with the new text, too")
        return "; ".join(said) + "."


def _uses(count: int) -> str:
    return "uses" if count == 1 else "use"


def list_templates(practice_id: str, now: datetime) -> list[ShownTemplate]:
    """By name, each as it reads for a made-up patient. Raises NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        templates = store.practices.list_templates(session)
        types = store.practices.list_types(session)
    shown = []
    for template in templates:
        using = [one for one in types if one.reminder_template_id == template.id]
        example = _made_up(practice, businesses, using, types, now)
        preview = _preview(practice, template.body, template.problem or "", example)
        shown.append(ShownTemplate(template, preview, tuple(one.name for one in using)))
    return shown


# --- the editor ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """What is typed so far. `template_id`: None of a new one. `appointment_id`: whose appointment is to show it.
    `name`, `text`: None where the editor is opened: then as it stands."""

    template_id: int | None = None
    name: str | None = None
    text: str | None = None
    appointment_id: int | None = None
    type_id: int | None = None


def open_editor(
    practice_id: str, draft: Draft, who: Who, now: datetime, *, fill_from: int | None = None, seen: str = ""
) -> Editor:
    """`fill_from`: the template whose text a new one begins with. `seen`: as the form says. Raises NoSuchTemplate,
    NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        template, types = _template_and_types(session, draft.template_id)
        others = () if template else store.practices.list_templates(session)
        using = _using(template, types, draft)
        weeks = weeks_of(practice, businesses, now)
        use = store.reminders.count_use(session, template.id, weeks) if template else None
        changes = _changes_of(session, template.id) if template else ()
        number = store.test_texts.find_last_number(session, who.user_id) or ""
        examples = _examples(session, practice, now, using, draft.appointment_id)
    begun = next((one for one in others if one.id == fill_from), None)
    name = draft.name if draft.name is not None else (template.name if template else "")
    text = begun.body if begun else draft.text
    if text is None:
        text = template.body if template else ""
    example = _chosen(examples, draft)
    shown = (
        Shown(example, example.details, example.business_id, types)
        if example
        else _made_up(practice, businesses, using, types, now)
    )
    # As it stands, to the letter; what is typed is tidied before it is saved.
    is_own = template is not None and text == template.body
    preview = _preview(practice, text if is_own else tidy(text), "", shown)
    return Editor(
        template=template,
        name=name,
        text=text,
        seen=seen or (_state_of(template) if template else ""),
        preview=preview,
        examples=tuple((one.appointment_id, _in_words(one, now)) for one in examples),
        types=tuple(one.name for one in using) if template else (),
        use=use,
        changes=changes,
        templates=tuple((one.id, one.name) for one in others if one.problem is None),
        number=number,
        zone=businesses[0].timezone if businesses else None,
        form_key=secrets.token_urlsafe(16),
        for_type=None if template else next(iter(using), None),
    )


def preview(practice_id: str, draft: Draft, now: datetime) -> Preview:
    """Of what is typed so far. Raises NoSuchTemplate, NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice = store.practices.get_practice(session, practice_id)
        shown = show_example(session, practice, draft, now)
    return _preview(practice, tidy(draft.text or ""), "", shown)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a text is filled with. `of`: None where the details are made up. `types`: the practice's."""

    of: Example | None
    details: Details
    business_id: int | None
    types: Sequence[AppointmentType]


def show_example(session: Session, practice: Practice, draft: Draft, now: datetime) -> Shown:
    """The appointment that was chosen, else the next one of a type that uses the template, else the next one of all.
    Raises NoSuchTemplate."""
    template, types = _template_and_types(session, draft.template_id)
    using = _using(template, types, draft)
    example = _chosen(_examples(session, practice, now, using, draft.appointment_id), draft)
    if example:
        return Shown(example, example.details, example.business_id, types)
    businesses = store.practices.list_businesses(session)
    return _made_up(practice, businesses, using, types, now)


def _using(template: SmsTemplate | None, types: Sequence[AppointmentType], draft: Draft) -> list[AppointmentType]:
    """The types that use the template, or that a new one is written for."""
    if template:
        return [one for one in types if one.reminder_template_id == template.id]
    return [one for one in types if one.id == draft.type_id]


def _template_and_types(
    session: Session, template_id: int | None
) -> tuple[SmsTemplate | None, Sequence[AppointmentType]]:
    if template_id is None:
        return None, store.practices.list_types(session)
    found = store.templates.find_with_types(session, template_id)
    if found is None:
        raise NoSuchTemplate
    return found


def _examples(
    session: Session, practice: Practice, now: datetime, using: Collection[AppointmentType], asked: int | None
) -> list[Example]:
    """To choose from, the one that is asked for among them."""
    found = store.examples.list_next(session, practice, now, MOST_EXAMPLES, [one.id for one in using])
    if asked is not None and all(one.appointment_id != asked for one in found):
        other = store.examples.find(session, practice, asked)
        return [other, *found] if other else found
    return found


def _chosen(examples: Sequence[Example], draft: Draft) -> Example | None:
    return next((one for one in examples if one.appointment_id == draft.appointment_id), next(iter(examples), None))


def _in_words(example: Example, now: datetime) -> str:
    details = example.details
    when = day_and_time(details.starts_local, local(now, example.timezone).date())
    name = plain(f"{details.patient_first_name} {details.patient_last_name}") or "A patient"
    return f"{name}, {when}, {plain(details.appointment_type_name)}"


def _made_up(
    practice: Practice,
    businesses: Sequence[Business],
    using: Sequence[AppointmentType],
    types: Sequence[AppointmentType],
    now: datetime,
) -> Shown:
    first = businesses[0] if businesses else None
    named = next(iter([*using, *types]), None)
    details = made_up(
        practice.name,
        first.name if first else "",
        first.contact_number if first else "",
        named.name if named else "",
        local(now, first.timezone) if first else now,
        practice.country,
    )
    return Shown(None, details, first.id if first else None, types)


def _preview(practice: Practice, text: str, problem: str, shown: Shown) -> Preview:
    template = usable_template(text, None)
    if text and not problem:
        _, problem = read_text(text, PLACEHOLDERS)
    filled = template.fill(values(shown.details)) if template else text
    gives_away = tells_the_treatment(template, [one.name for one in shown.types]) if template else ""
    lacks = what_it_lacks(template, shown.details) if template else ""
    return Preview(filled, weigh_exactly(filled, practice.credits), problem, shown.of, gives_away, lacks)


def _state_of(template: SmsTemplate) -> str:
    return sha256(f"{template.name}\0{template.body}".encode()).hexdigest()[:16]


def _changes_of(session: Session, template_id: int) -> list[Change]:
    return store.changes.list_changes(session, Subject.TEMPLATE, template_id, most=MOST_CHANGES)


# --- changes ------------------------------------------------------------------------------------------------


def add_template(practice_id: str, name: str, text: str, who: Who, now: datetime) -> int:
    """Returns its id. Raises TemplateProblem."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        return write_template(session, name, text, who, now)


def write_template(session: Session, name: str, text: str, who: Who, now: datetime) -> int:
    """As above, where the practice is locked."""
    name, text = _readable(session, None, name, text)
    template = SmsTemplate(external_id=made_here_id(), name=name, body=text, problem=None)
    session.add(template)
    session.flush()
    note_change(session, who, now, Subject.TEMPLATE, template.id, NAME, "", name)
    note_change(session, who, now, Subject.TEMPLATE, template.id, TEXT, "", text)
    return template.id


def add_for_type(practice_id: str, type_id: int, name: str, text: str, who: Who, now: datetime) -> int:
    """And that type's reminders say it from now on. Raises TemplateProblem, NoSuchType."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        type_ = get_type(session, type_id)
        template_id = write_template(session, name, text, who, now)
        set_template(session, type_, session.get_one(SmsTemplate, template_id), who, now)
        return template_id


def change_template(
    practice_id: str, template_id: int, name: str, text: str, seen: str, who: Who, now: datetime
) -> bool:
    """Returns whether anything is another than before. What is queued is sent with the new text.

    `seen`: the state that the form was opened with. Raises NoSuchTemplate, TemplateProblem.
    """
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)  # an import reads the row and writes it later
        template = _get(session, template_id)
        name, new = _readable(session, template_id, name, text)
        if (template.name, template.body, template.problem) == (name, new, None):
            return False
        if seen != _state_of(template):
            raise TemplateProblem(
                "text", "Somebody has changed it since you opened the page. Copy your text, open the page anew."
            )
        _set(session, template, name, new, who, now)
        return True


def restore(practice_id: str, template_id: int, change_id: int, who: Who, now: datetime) -> None:
    """What stood before that change stands again, which is a change itself. Raises NoSuchTemplate,
    TemplateProblem."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        template = _get(session, template_id)
        change = session.get(Change, change_id)
        if change is None or (change.subject, change.subject_id) != (Subject.TEMPLATE, template_id):
            raise NoSuchTemplate
        name = change.before if change.field == NAME else template.name
        text = change.before if change.field == TEXT else template.body
        _set(session, template, *_readable(session, template_id, name, text), who, now)


def _get(session: Session, template_id: int) -> SmsTemplate:
    template = session.get(SmsTemplate, template_id)
    if template is None:
        raise NoSuchTemplate
    return template


def _set(session: Session, template: SmsTemplate, name: str, text: str, who: Who, now: datetime) -> None:
    note_change(session, who, now, Subject.TEMPLATE, template.id, NAME, template.name, name)
    note_change(session, who, now, Subject.TEMPLATE, template.id, TEXT, template.body, text)
    template.name, template.body, template.problem = name, text, None


def _readable(session: Session, template_id: int | None, name: str, text: str) -> tuple[str, str]:
    """As they are kept. Raises TemplateProblem."""
    name = " ".join(name.split())
    problem = problem_with_name(name, store.templates.list_other_names(session, SmsTemplate, template_id), "template")
    if problem:
        raise TemplateProblem("name", problem)
    template, problem = read_text(text, PLACEHOLDERS)
    if template is None:
        raise TemplateProblem("text", problem)
    return name, tidy(text)
