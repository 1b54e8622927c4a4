"""What the sysadmin sees and does of one practice: nothing of any patient."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal import store
from portal.core.roles import Role
from portal.store.changes import CREDITS, Change, Subject
from portal.store.practices import Practice
from portal.store.staff import User

_MOST_ENTRIES = 10


@dataclass(frozen=True, slots=True)
class HostedPractice:
    """`owners`: who may do everything of it, or are invited to. `granted`: credits, the newest first."""

    practice: Practice
    zone: str | None
    owners: Sequence[User]
    granted: Sequence[Change]


def show_practice(practice_id: str) -> HostedPractice:
    """Raises NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        staff = store.staff.list_staff(session, practice_id)
        granted = store.changes.list_changes(session, Subject.PRACTICE, None, [CREDITS], _MOST_ENTRIES)
    owners = [user for user in staff if user.role is Role.OWNER]
    return HostedPractice(practice, businesses[0].timezone if businesses else None, owners, granted)
