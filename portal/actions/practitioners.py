"""A practice's practitioners: whom appointments are with, and how texts name them."""

from dataclasses import dataclass
from datetime import datetime

from portal import store
from portal.actions.asking import SettingRefused, read_name
from portal.actions.who import Who, note_change
from portal.core.phrases import plain
from portal.store.changes import ADDED, NAME, Change, Subject
from portal.store.imported import made_here_id
from portal.store.practices import Practitioner

PAGE = 50
LONGEST_TITLE = 40  # characters
_FIELDS = ("title", "first_name", "last_name")


class NoSuchPractitioner(store.NotThere):
    def __init__(self) -> None:
        super().__init__("There is no such practitioner.")


@dataclass(frozen=True, slots=True)
class Name:
    """As typed; the title may be empty."""

    title: str
    first_name: str
    last_name: str


@dataclass(frozen=True, slots=True)
class Shown:
    """`changed`: the last time that people changed the name. `zone`: where times are shown."""

    practitioner: Practitioner
    changed: Change | None
    zone: str | None


def list_practitioners(practice_id: str, page: int) -> tuple[list[Practitioner], bool]:
    """A page of them by name, from page 0 on; and whether there are more."""
    with store.reading(practice_id) as session:
        found = store.practices.list_practitioners(session, PAGE + 1, page * PAGE)
    return list(found[:PAGE]), len(found) > PAGE


def show_practitioner(practice_id: str, practitioner_id: int) -> Shown:
    """Raises NoSuchPractitioner."""
    with store.reading(practice_id) as session:
        practitioner = session.get(Practitioner, practitioner_id)
        if practitioner is None:
            raise NoSuchPractitioner
        changes = store.changes.list_changes(session, Subject.PRACTITIONER, practitioner_id, [NAME, ADDED], 1)
        businesses = store.practices.list_businesses(session)
    return Shown(practitioner, changes[0] if changes else None, businesses[0].timezone if businesses else None)


def add_practitioner(practice_id: str, typed: Name, *, who: Who, now: datetime) -> int:
    """Returns the row id. Raises SettingRefused, NoSuchPractice."""
    name = _read(typed)
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        practitioner = Practitioner(external_id=made_here_id(), **{field: getattr(name, field) for field in _FIELDS})
        # Also a button pressed twice: one too many stays for ever.
        if any(one.full_name == practitioner.full_name for one in store.practices.list_practitioners(session)):
            raise SettingRefused(
                f"There is a practitioner called {practitioner.full_name} already: click the name in the list. "
                "Are there really two? Tell them apart in the first name, such as Jo B.",
                "first_name",
            )
        session.add(practitioner)
        session.flush()
        note_change(session, who, now, Subject.PRACTITIONER, practitioner.id, ADDED, "", practitioner.full_name)
        return practitioner.id


def rename(practice_id: str, practitioner_id: int, typed: Name, *, who: Who, now: datetime) -> bool:
    """Returns whether the name was another before. Raises NoSuchPractitioner, SettingRefused, NoSuchPractice."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)  # an import reads the row and writes it later
        practitioner = session.get(Practitioner, practitioner_id)
        if practitioner is None:
            raise NoSuchPractitioner
        name = _read(typed)
        before = practitioner.full_name
        for field in _FIELDS:
            setattr(practitioner, field, getattr(name, field))
        after = practitioner.full_name
        note_change(session, who, now, Subject.PRACTITIONER, practitioner_id, NAME, before, after)
        session.flush()
        return before != after


def _read(typed: Name) -> Name:
    title = plain(typed.title, LONGEST_TITLE + 1)
    if len(title) > LONGEST_TITLE:
        raise SettingRefused(f"A title has at most {LONGEST_TITLE} characters.", "title")
    return Name(
        title,
        read_name(typed.first_name, None, "first_name"),
        read_name(typed.last_name, "A practitioner has a last name, for texts and lists.", "last_name"),
    )
