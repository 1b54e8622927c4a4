"""Who may do what: the one table."""

from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    OWNER = "owner"
    RECEPTION = "reception"
    PRACTITIONER = "practitioner"
    SYSADMIN = "sysadmin"


class Permission(StrEnum):
    READ = "read"  # the practice's patients, appointments, messages
    PATIENTS = "patients"  # change contact details, preferences, opt-outs
    SEND = "send"  # write a text, send again
    SEND_TO_OWN = "send-to-own"  # the same, to the patients of one's own appointments
    SETTINGS = "settings"  # businesses, appointment types, templates, the main switch
    CREDITS = "credits"
    STAFF = "staff"
    HOST = "host"  # queue, health, practices: nothing of any patient


MAY = MappingProxyType(
    {
        Role.OWNER: frozenset(Permission) - {Permission.SEND_TO_OWN, Permission.HOST},
        Role.RECEPTION: frozenset({Permission.READ, Permission.PATIENTS, Permission.SEND}),
        Role.PRACTITIONER: frozenset({Permission.READ, Permission.SEND_TO_OWN}),
        Role.SYSADMIN: frozenset({Permission.HOST}),
    }
)

IN_WORDS = MappingProxyType(
    {
        Role.OWNER: "Owner: everything of the practice",
        Role.RECEPTION: "Reception: patients, appointments, messages",
        Role.PRACTITIONER: "Practitioner: reads, and texts own patients",
        Role.SYSADMIN: "System administrator: queue and health, no patients",
    }
)


def may(role: Role, permission: Permission) -> bool:
    return permission in MAY[role]
