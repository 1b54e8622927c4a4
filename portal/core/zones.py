"""Which time zones to offer: those of a country first."""

from functools import lru_cache
from importlib import resources


@lru_cache(maxsize=1)
def list_zones() -> tuple[tuple[str, str], ...]:
    """(ISO 3166 country, IANA name) of every zone that people live in, by name."""
    table = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    lines = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return tuple(sorted(((line[0], line[2]) for line in lines), key=lambda one: one[1]))


def zones_to_offer(country: str, own: str = "") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of the country, then the others. `own`: one to be there in any case, which the list may not name."""
    here = [zone for code, zone in list_zones() if code == country]
    others = [zone for code, zone in list_zones() if code != country]
    if own and own not in here and own not in others:
        here.append(own)
    return tuple(here), tuple(dict.fromkeys(others))
