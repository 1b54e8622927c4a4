"""Names, numbers and times in the pages, as people say them."""

from datetime import date, datetime

from flask import Flask, current_app
from werkzeug.exceptions import HTTPException

from portal import clock
from portal.core import phrases
from portal.core.numbers import as_people_say
from portal.core.timing import local
from portal.core.wording import NO_REMINDER_YET, OUTCOMES, reason_in_short


def register(app: Flask) -> None:
    app.jinja_env.filters.update(
        counted=phrases.counted,
        instant=_instant,
        wall=_wall,
        number=as_people_say,
        plain=phrases.plain,
        reason=reason_in_short,
    )
    app.jinja_env.globals.update(outcomes=OUTCOMES, no_reminder_yet=NO_REMINDER_YET, has_page=_has_page)


def _today(zone: str | None) -> date:
    now = clock.now()
    return (local(now, zone) if zone else now).date()


def _instant(at: datetime, zone: str | None) -> str:
    """`today, 11am`, by the clocks of the business."""
    return _wall(local(at, zone) if zone else at, zone)


def _wall(wall: datetime, zone: str | None) -> str:
    """`tomorrow, 9:30am`"""
    return phrases.day_and_time(wall, _today(zone))


def _has_page(place: str) -> bool:
    """Whether the portal has that page."""
    try:
        current_app.url_map.bind("localhost").match(place)
    except HTTPException:
        return False
    return True
