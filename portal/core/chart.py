"""The last days by outcome, as bars. Lengths are whole units of a drawing that is `WIDTH` by `HEIGHT`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from portal.core.states import Status

BAR, GAP, HEIGHT = 16, 6, 160


@dataclass(frozen=True, slots=True)
class Series:
    """Outcomes that are one colour of the chart."""

    word: str
    shape: str
    colour: str
    statuses: frozenset[Status]


# From the ground up. What is withdrawn was never to reach anybody, and is left out.
SERIES: tuple[Series, ...] = (
    Series("Delivered", "✓✓", "green", frozenset({Status.DELIVERED})),
    Series("Sent", "✓", "blue", frozenset({Status.SENT, Status.UNCONFIRMED, Status.QUEUED, Status.SENDING})),
    Series("Not sent", "⊘", "amber", frozenset({Status.NOT_SENT})),
    Series(
        "Failed or not delivered",
        "✕",
        "red",
        frozenset({Status.FAILED, Status.UNDELIVERED, Status.UNKNOWN, Status.EXPIRED}),
    ),
)


@dataclass(frozen=True, slots=True)
class Block:
    x: int
    y: int
    height: int
    colour: str


@dataclass(frozen=True, slots=True)
class Bar:
    """`counts`: one for each of `SERIES`."""

    day: date
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Chart:
    bars: tuple[Bar, ...]
    today: date

    @property
    def width(self) -> int:
        return len(self.bars) * (BAR + GAP) - GAP

    @property
    def highest(self) -> int:
        return max((bar.total for bar in self.bars), default=0)

    @property
    def totals(self) -> tuple[int, ...]:
        return tuple(sum(bar.counts[i] for bar in self.bars) for i in range(len(SERIES)))

    @property
    def blocks(self) -> Iterator[Block]:
        """Each at least one unit high, so that a single failure among hundreds is seen."""
        for i, bar in enumerate(self.bars):
            below = 0
            for series, count in zip(SERIES, bar.counts, strict=True):
                if count:
                    height = max(2, round(count * (HEIGHT - 2 * len(SERIES)) / self.highest))
                    below += height
                    yield Block(i * (BAR + GAP), HEIGHT - below, height, series.colour)


def draw(days: Sequence[date], counts: Sequence[Mapping[Status, int]]) -> Chart:
    """`days`: the oldest first, the last is today."""
    return Chart(
        tuple(
            Bar(day, tuple(sum(of_day.get(status, 0) for status in series.statuses) for series in SERIES))
            for day, of_day in zip(days, counts, strict=True)
        ),
        days[-1],
    )
