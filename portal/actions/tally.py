"""How the messages of the last 30 days stand, day by day."""

from datetime import datetime, timedelta
from itertools import pairwise

from portal import store
from portal.core.ahead import day_begins
from portal.core.chart import Chart, draw
from portal.core.timing import local

DAYS = 30


def tally(practice_id: str, now: datetime) -> Chart:
    """By the days of the first business's zone."""
    with store.reading(practice_id) as session:
        businesses = store.practices.list_businesses(session)
        zone = businesses[0].timezone if businesses else None
        today = (local(now, zone) if zone else now).date()
        days = [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
        begins = [day_begins(day, zone) for day in [*days, today + timedelta(days=1)]]
        counts = store.today.count_outcomes(session, practice_id, list(pairwise(begins)))
    return draw(days, counts)
