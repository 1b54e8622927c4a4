"""The demo's accounts, one of each role. Their passwords are known to everybody: the demo is served to its own
machine only, and holds nobody real."""

from datetime import datetime

from portal.actions import first_run, staff
from portal.actions.who import COMMAND_LINE
from portal.core.roles import Role
from portal.demo.practice import PRACTICE
from portal.web.sign_in import hash_password

# Helen Marsh's id in the export.
_PRACTITIONER = "1"

ACCOUNTS = {
    Role.OWNER: ("Dana Field", "owner@harbour.example"),
    Role.RECEPTION: ("Robin Park", "reception@harbour.example"),
    Role.PRACTITIONER: ("Helen Marsh", "practitioner@harbour.example"),
    Role.SYSADMIN: ("Sam Ortiz", "sysadmin@harbour.example"),
}
PASSWORD = "quiet-lantern-harbour-tide"  # noqa: S105


def make_accounts(now: datetime) -> None:
    """Inside the application's context, on a database without anybody."""
    for role, (name, email) in ACCOUNTS.items():
        if role is Role.OWNER:
            first_run.make_first_user(PRACTICE, name, email, PASSWORD, hash_password, now)
            continue
        if role is Role.SYSADMIN:
            invited = staff.invite_sysadmin(name, email, now)
        else:
            row = staff.find_practitioner_row(PRACTICE, _PRACTITIONER) if role is Role.PRACTITIONER else ""
            invited = staff.invite(PRACTICE, name, email, role, row, COMMAND_LINE, now)
        staff.join(invited.uniquifier, name, PASSWORD, hash_password, now)


def accounts_in_words() -> str:
    lines = [f"    {role:<13} {email}\n" for role, (_, email) in ACCOUNTS.items()]
    return f"  Sign in as one of these, each with the password {PASSWORD}\n{''.join(lines)}"
