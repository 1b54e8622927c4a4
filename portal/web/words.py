"""Names, numbers and times in the pages, as people say them."""

from datetime import date, datetime

from flask import Flask, current_app
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from portal import clock
from portal.actions.duplicates import known_as
from portal.core import ahead, phrases
from portal.core.numbers import as_people_say, country_name
from portal.core.receipts import cause
from portal.core.reminder_times import window_in_words
from portal.core.reply_words import READ_AS
from portal.core.timing import local
from portal.core.wording import NO_REMINDER_YET, OUTCOMES, reason_in_short


def register(app: Flask) -> None:
    app.jinja_env.filters.update(
        ago=_ago,
        clock=phrases.clock_time,
        countdown=_countdown,
        counted=phrases.counted,
        country=country_name,
        day=phrases.day,
        hour=phrases.hour,
        date_heading=ahead.date_heading,
        instant=_instant,
        known_as=known_as,
        moment=_moment,
        place_of_zone=ahead.place_of_zone,
        lasting=phrases.lasting,
        listed=phrases.listed,
        up_to=phrases.up_to,
        wall=_wall,
        window=window_in_words,
        number=as_people_say,
        plain=phrases.plain,
        reason=reason_in_short,
        cause=_cause,
    )
    app.jinja_env.globals.update(outcomes=OUTCOMES, no_reminder_yet=NO_REMINDER_YET, read_as=READ_AS)
    app.jinja_env.globals.update(has_page=_has_page)


def _today(zone: str | None) -> date:
    now = clock.now()
    return (local(now, zone) if zone else now).date()


def _instant(at: datetime, zone: str | None) -> str:
    """`today, 11am`, by the clocks of the business."""
    return _wall(local(at, zone) if zone else at, zone)


def _wall(wall: datetime, zone: str | None) -> str:
    """`tomorrow, 9:30am`"""
    return phrases.day_and_time(wall, _today(zone))


def _moment(at: datetime, zone: str | None) -> str:
    """`today at 11am`"""
    return phrases.moment(local(at, zone) if zone else at, _today(zone))


def _countdown(at: datetime) -> str:
    """`in 1 h 12 min`"""
    return ahead.countdown(at - clock.now())


def _ago(at: datetime) -> str:
    """`2 days ago`"""
    return ahead.ago(clock.now() - at)


def _cause(code: str | None) -> str:
    """Why a text was not delivered."""
    says = cause(code or "").says
    return says[:1].upper() + says[1:]


def _has_page(place: str) -> bool:
    """Whether the portal has that page, whatever it is asked."""
    try:
        current_app.url_map.bind("localhost").match(place.partition("?")[0])
    except RequestRedirect:  # to the same with a slash at its end
        return True
    except HTTPException:
        return False
    return True
