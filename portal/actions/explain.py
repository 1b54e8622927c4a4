"""One appointment's diagnosis, with what the forms need that mend each cause."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.diagnose import NoSuchAppointment, case_of, list_changeable, list_events, opt_out_that_holds
from portal.core.diagnosis import Diagnosis, examine, mended_with
from portal.core.numbers import PhoneType
from portal.core.phrases import plain
from portal.core.reasons import Reason
from portal.core.roles import Permission, may
from portal.core.timing import coming_week, has_come
from portal.core.wording import Changed, Context
from portal.store.appointments import Appointment
from portal.store.changes import Change, Subject
from portal.store.facts import Found
from portal.store.messages import MessageEvent
from portal.store.patients import OptOut, PhoneRow
from portal.store.reminders import Choices

_MOST_NAMES = 3
MOST_CHANGES = 20


@dataclass(frozen=True, slots=True)
class Explanation:
    """`events`: of its reminder. `who_may`: for what the reader's role may not do, who of the practice can.
    `choices`: where a form wants them. `history`: what staff changed of the appointment, the newest first."""

    diagnosis: Diagnosis
    found: Found
    events: Sequence[MessageEvent]
    context: Context
    choices: Choices | None
    who_may: Mapping[Permission, str]
    is_cancelled: bool
    history: tuple[Change, ...]

    @property
    def id(self) -> int:
        return self.found.appointment.id

    def who_set(self, code: Reason) -> Changed | None:
        """The last change by people of what that check asks about; None where the export's value stands."""
        return self.context.changes.get(code)

    @property
    def to_refile(self) -> list[PhoneRow]:
        """Numbers that could be texted, were they filed as Mobile."""
        return [
            row
            for row in self.found.numbers
            if row.type is not PhoneType.MOBILE
            and row.as_number().can_text
            and row.region in self.found.practice.countries
        ]

    @property
    def mobiles(self) -> list[PhoneRow]:
        return [row for row in self.found.numbers if row.type is PhoneType.MOBILE]

    @property
    def opt_out(self) -> OptOut | None:
        return opt_out_that_holds(self.found)


def explain(practice_id: str, appointment_id: int, now: datetime, allowed: Collection[Permission]) -> Explanation:
    """`allowed`: what the reader may do. Raises NoSuchAppointment, NoSuchPractice."""
    with store.reading(practice_id) as session:
        found = store.facts.find(session, Appointment.id == appointment_id)
        if found is None:
            raise NoSuchAppointment(str(appointment_id))
        return explain_found(session, found, now, allowed)


def explain_found(session: Session, found: Found, now: datetime, allowed: Collection[Permission]) -> Explanation:
    events = list_events(session, found)
    last_changes, history = store.changes.list_last_and_history(
        session, list_changeable(found), (Subject.APPOINTMENT, found.appointment.id), MOST_CHANGES
    )
    case = case_of(session, found, events, now, last_changes)
    diagnosis = examine(case, now)
    crossed = {check.code for check in diagnosis.checks if not check.ok}
    needs = mended_with(found.practice.may_resume)
    wanted = {needs[code] for code in crossed}
    choices = None
    if Permission.SETTINGS in allowed and crossed & {Reason.BUSINESS_REMINDERS_OFF, Reason.NO_TEMPLATE}:
        practice, zone = found.practice, found.business.timezone
        week = coming_week(now, zone, practice.lead_days, practice.window_start)
        choices = store.reminders.get_choices(session, found.business.id, week)
    who_may = _name_who_may(session, found.practice.id, wanted - set(allowed))
    is_cancelled = has_come(found.appointment.cancelled_at, now)
    return Explanation(diagnosis, found, events, case.context, choices, who_may, is_cancelled, tuple(history))


def name_who_may(practice_id: str, wanted: Collection[Permission]) -> Mapping[Permission, str]:
    """Who of the practice can mend what takes such a permission, in words."""
    with store.reading(practice_id) as session:
        return _name_who_may(session, practice_id, wanted)


def _name_who_may(session: Session, practice_id: str, wanted: Collection[Permission]) -> Mapping[Permission, str]:
    if not wanted:
        return {}
    staff = [user for user in store.staff.list_staff(session, practice_id) if user.active]
    return {one: _who([user.name for user in staff if may(user.role, one)]) for one in wanted}


def _who(names: list[str]) -> str:
    """Dana, Sam or Kim can mend this."""
    if not names:
        return "Nobody at the practice has the role for it: ask your administrator."
    said = [plain(name) for name in names[:_MOST_NAMES]]
    return f"{' or '.join(part for part in (', '.join(said[:-1]), said[-1]) if part)} can mend this."
