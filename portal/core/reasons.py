"""Every coded cause why a message did not go. The order is the order in which they are asked and shown."""

from enum import StrEnum


class Reason(StrEnum):
    # Asked of a message that is due.
    SENDING_OFF = "sending-off"
    REMINDED_ELSEWHERE = "reminded-elsewhere"
    BUSINESS_REMINDERS_OFF = "business-reminders-off"
    NO_TEMPLATE = "no-template"
    NO_MOBILE_NUMBER = "no-mobile-number"
    INVALID_MOBILE_NUMBER = "invalid-mobile-number"
    NUMBER_NOT_IN_SERVICE = "number-not-in-service"
    PREFERS_EMAIL = "prefers-email"
    PREFERS_NONE = "prefers-none"
    OPTED_OUT = "opted-out"
    PATIENT_ARCHIVED = "patient-archived"
    NO_CONSENT = "no-consent"  # of marketing only
    DAILY_LIMIT = "daily-limit"
    NO_CREDITS = "no-credits"
    # Said of a message that stopped later, or was never decided.
    APPOINTMENT_CANCELLED = "appointment-cancelled"
    BOOKED_TOO_LATE = "booked-too-late"
    NO_PASS_RAN = "no-pass-ran"  # noqa: S105
    WITHDRAWN = "withdrawn"
    DEADLINE_PASSED = "deadline-passed"
    PROVIDER_REFUSED = "provider-refused"
    PROVIDER_ACCOUNT = "provider-account"


# In the diagnosis only: no row of the log ever holds these.
DIAGNOSIS_ONLY = frozenset({Reason.APPOINTMENT_CANCELLED, Reason.BOOKED_TOO_LATE})
