"""The rate limit of the provider, held over all workers on all hosts.

GCRA without a burst, in one Lua round trip on Redis's own clock: requests are spaced evenly, so that no
second holds more than the rate. All that it keeps is the instant of the next free slot; a Redis that was
emptied starts again from now.
"""

import math
from dataclasses import dataclass

import redis

from portal.embedded import RedisUnavailable

KEY = "portal:next_slot"

# A provider that allows 30 in any second refused 9 of 300 requests spaced at 30 a second, and none at 29:
# what arrives is never spaced as evenly as what was sent.
SHARE = 0.97

# A message is claimed before it is sent. Of a slot that starts at once, that would take the time.
LEAD_INTERVALS, LONGEST_LEAD = 3, 0.1  # seconds

# Redis would round a large number to 14 digits; "%.0f" keeps each microsecond.
_RESERVE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local most, within, interval, lead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local first = math.max(now + lead, tonumber(redis.call('GET', KEYS[1]) or 0))
local count = math.min(most, math.floor((now + within - first) / interval) + 1)
if count < 1 then
    return {0, first - now}
end
local next = first + count * interval
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000) + 1000)
return {count, first - now}
"""

_SLOW_DOWN = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local next = now + tonumber(ARGV[1])
if next > tonumber(redis.call('GET', KEYS[1]) or 0) then
    redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000) + 1000)
end
"""


@dataclass(frozen=True)
class Slots:
    """Slots that are now the caller's alone.

    `delays`: when each starts, in seconds from now, ascending; empty where none starts soon enough.
    `retry_in`: seconds until asking again can bring a slot; 0 where it can at once.
    """

    delays: tuple[float, ...]
    retry_in: float


class Limiter:
    def __init__(self, connection: redis.Redis, rate: float) -> None:
        """`rate`: requests a second; 0.97 of it is given out."""
        self.interval = math.ceil(1_000_000 / (SHARE * rate)) / 1_000_000
        self.lead = min(LEAD_INTERVALS * self.interval, LONGEST_LEAD)
        self._reserve = connection.register_script(_RESERVE)
        self._slow_down = connection.register_script(_SLOW_DOWN)

    def reserve(self, most: int, within: float = 1.0) -> Slots:
        """Take up to `most` slots that start within `within` seconds, none before `lead`. One not used is lost.

        Slots not asked for before they start are lost too: who wants the whole rate asks again before the
        last of its slots has passed. Raises RedisUnavailable.
        """
        try:
            count, first = self._reserve(
                keys=[KEY],
                args=[most, *(round(seconds * 1_000_000) for seconds in (within, self.interval, self.lead))],
            )
        except redis.RedisError as error:
            raise RedisUnavailable(f"Redis: {error}") from None
        delays = tuple(first / 1_000_000 + i * self.interval for i in range(count))
        next_free = first / 1_000_000 + count * self.interval
        return Slots(delays, retry_in=max(0.0, next_free - within))

    def slow_down(self, seconds: float) -> None:
        """No slot given out from now on starts within `seconds`: the whole pool waits (after a 429).

        A shorter wait never shortens a longer one. Raises RedisUnavailable.
        """
        try:
            self._slow_down(keys=[KEY], args=[round(seconds * 1_000_000)])
        except redis.RedisError as error:
            raise RedisUnavailable(f"Redis: {error}") from None
