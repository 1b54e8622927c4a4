"""Where it is late morning now: reminders have just begun, and mending still helps."""

from dataclasses import dataclass
from datetime import datetime, time

from portal.core.timing import local

FIRST, LAST = time(10, 30), time(12, 30)


@dataclass(frozen=True, slots=True)
class City:
    """`country`: whose numbers set aside for fiction the demo uses."""

    name: str
    zone: str
    country: str


# Preferred first; the last ones close the gap of the hours when it is night in Australia and America.
CITIES = (
    City("Sydney", "Australia/Sydney", "AU"),
    City("Brisbane", "Australia/Brisbane", "AU"),
    City("Adelaide", "Australia/Adelaide", "AU"),
    City("Perth", "Australia/Perth", "AU"),
    City("New York", "America/New_York", "US"),
    City("Chicago", "America/Chicago", "US"),
    City("Denver", "America/Denver", "US"),
    City("Los Angeles", "America/Los_Angeles", "US"),
    City("Anchorage", "America/Anchorage", "US"),
    City("Honolulu", "Pacific/Honolulu", "US"),
    City("Pago Pago", "Pacific/Pago_Pago", "US"),
    City("Norfolk Island", "Pacific/Norfolk", "AU"),
    City("Christmas Island", "Indian/Christmas", "AU"),
    City("Dhaka", "Asia/Dhaka", "AU"),
    City("Karachi", "Asia/Karachi", "AU"),
    City("Dubai", "Asia/Dubai", "AU"),
    City("Nairobi", "Africa/Nairobi", "AU"),
    City("Johannesburg", "Africa/Johannesburg", "AU"),
    City("Lagos", "Africa/Lagos", "AU"),
    City("Accra", "Africa/Accra", "AU"),
    City("Praia", "Atlantic/Cape_Verde", "US"),
    City("Noronha", "America/Noronha", "US"),
    City("São Paulo", "America/Sao_Paulo", "US"),
)


def late_morning(now: datetime) -> City:
    """The first city whose clocks show a time from 10:30 to 12:30."""
    return next(city for city in CITIES if FIRST <= local(now, city.zone).time() < LAST)
