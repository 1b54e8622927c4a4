"""`python -m bench`: the figures of docs/performance.md, as Markdown on standard output.

Every figure is a median of interleaved runs, and every ratio is taken within one run.
"""

import platform
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median

import click

from bench import pages, passes, plans, sending
from bench.databases import KINDS, Database, Host, host
from bench.fill import fill
from portal.actions.deliver import THREADS

HISTORY, AHEAD = 2, 8  # days of appointments, 100 a practice: those past, with their messages, and those booked
UNLIMITED = 100_000.0
DAYS_AT_ONCE = 5  # for practices with five times the usual texts


def _say(line: str = "") -> None:
    click.echo(line)
    sys.stdout.flush()


def _note(line: str) -> None:
    click.echo(line, err=True)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    _say("| " + " | ".join(head) + " |")
    _say("|" + "---|" * len(head))
    for row in rows:
        _say("| " + " | ".join(row) + " |")
    _say()


def _spread(values: Sequence[float], digits: int = 2) -> str:
    return f"**{median(values):.{digits}f}** ({min(values):.{digits}f}–{max(values):.{digits}f})"


def _filled(on: Host, kind: str, name: str, practices: int, history: int) -> Database:
    _note(f"{kind}: filling {practices * 100 * (history + AHEAD):,} appointments …")
    database = on.create(kind, name)
    fill(database, practices, history, AHEAD)
    return database


def bench_passes(on: Host, kinds: Sequence[str], practices: int, runs: int) -> None:
    """(a) and (b): the pass, the bare writes, and the pass with ten times the history, in turn."""
    ratios_rows, history_rows, memory_rows, reads = [], [], [], []
    for kind in kinds:
        base = _filled(on, kind, "base", practices, HISTORY)
        long = _filled(on, kind, "long", practices, 10 * HISTORY)
        took: dict[str, list[float]] = {"pass": [], "bare": [], "long": []}
        for run in range(runs):
            decided, fresh, old = (on.copy(*of) for of in ((base, "decided"), (base, "fresh"), (long, "old")))
            timing = passes.in_a_fresh_process(passes.time_pass, decided, practices, HISTORY)
            bare = passes.in_a_fresh_process(passes.time_baseline, decided, fresh, practices, HISTORY)
            longer = passes.in_a_fresh_process(passes.time_pass, old, practices, 10 * HISTORY)
            for key, one in zip(took, (timing, bare, longer), strict=True):
                took[key].append(one.seconds)
            _note(f"{kind}, run {run + 1}: {timing.seconds:.1f} s, {bare.seconds:.1f} s bare, {longer.seconds:.1f} s")
            for database in (decided, fresh, old):
                on.drop(database)
        ratios = [ours / bare for ours, bare in zip(took["pass"], took["bare"], strict=True)]
        growth = [longer / ours for longer, ours in zip(took["long"], took["pass"], strict=True)]
        seconds = [_spread(took[key], 1) for key in took]
        ratios_rows.append((base.label, seconds[0], seconds[1], _spread(ratios)))
        history_rows.append((base.label, seconds[0], seconds[2], _spread(growth)))
        memory_rows.append((base.label, *(f"{mb:.0f}" for mb in timing.peak_mb.values())))
        reads.append((base.label, plans.explain(long, 1, 10 * HISTORY)))
        marks = list(timing.peak_mb)
        written = timing.rows | bare.rows
        for database in (base, long):
            on.drop(database)
    due = practices * 100
    _say(f"### (a) A pass over {due:,} due appointments of {practices:,} practices")
    _say()
    _say(
        f"In a database of {due * (HISTORY + AHEAD):,} appointments, one process. Bare: SQLAlchemy Core's "
        f"executemany of the same {written['messages']:,} messages, {written['events']:,} events and "
        f"{written['entries']:,} ledger entries, made before the clock starts, under the same constraints, "
        "a transaction a practice."
    )
    _say()
    _table(("database", "pass, s", "bare, s", "ratio (at most 5)"), ratios_rows)
    _say("Peak memory of the process in MB, after so many practices:")
    _say()
    _table(("database", *(f"{mark:,}" for mark in marks)), memory_rows)
    past = due * HISTORY
    _say(f"### (b) The same with ten times the history: {10 * past:,} past appointments, not {past:,}")
    _say()
    _table(("database", "pass, s", "ten times the history, s", "ratio (at most 1.25)"), history_rows)
    _say("How the facts of one practice's due appointments are read, with ten times the history:")
    _say()
    for label, plan in reads:
        _say(f"{label}:")
        _say("```")
        for table, lines in plan:
            _say(f"-- {table}")
            _say(lines)
        _say("```")
    _say()


def bench_sending(on: Host, kinds: Sequence[str], practices: int, runs: int) -> None:
    """(c): the pool, the bare SDK and a job a message, in turn; then the default limit."""
    rows, limit_rows = [], []
    for kind in kinds:
        took: dict[str, list[float]] = {"pool": [], "bare": [], "small": [], "naive": [], "limited": [], "most": []}
        with sending.simulator() as url:
            clinics = sending.Clinics(on, kind, url, practices, 1 + runs * (DAYS_AT_ONCE + 2))
            clinics.send(clinics.queue_up(practices), UNLIMITED)  # warms up both sides
            for run in range(runs):
                batch = clinics.queue_up(practices, DAYS_AT_ONCE)
                texts = clinics.texts(batch)
                took["pool"].append(clinics.send(batch, UNLIMITED))
                took["bare"].append(sending.bare_rate(url, texts, THREADS))
                took["small"].append(clinics.send(clinics.queue_up(practices), UNLIMITED))
                few = clinics.queue_up(practices)
                took["naive"].append(clinics.send_naively(few[:1]))
                took["limited"].append(clinics.send(few[1:]))
                took["most"].append(sending.most_in_one_second(url))
                _note(f"{kind}, run {run + 1}: " + ", ".join(f"{key} {of[-1]:.1f}" for key, of in took.items()))
            clinics.close()
        label, limit = clinics.database.label, clinics.settings.send_rate
        ratios = {key: [rate / bare for rate, bare in zip(took[key], took["bare"], strict=True)] for key in took}
        rows.append(
            (
                label,
                _spread(took["bare"], 0),
                _spread(took["pool"], 0),
                _spread(ratios["pool"]),
                _spread(took["small"], 0),
                _spread(ratios["small"]),
                _spread(took["naive"], 0),
            )
        )
        shares = [rate / limit for rate in took["limited"]]
        limit_rows.append((label, _spread(took["limited"], 1), _spread(shares, 3), _spread(took["most"], 0)))
    _say("### (c) Messages a second from queued to sent")
    _say()
    _say(
        f"Against the simulator with {sending.LATENCY_MS} ms latency: {sending.WORKERS} processes with {THREADS} "
        f"requests in flight each, {practices} practices with {len(texts) // practices} texts each. Bare: the SDK "
        "sends the same texts from as many threads and processes, with no database. Small: the same with a "
        f"{DAYS_AT_ONCE}th of the texts each, so that the start of each job weighs more. Naive: one RQ job a "
        "message, on RQ's own pool of as many processes."
    )
    _say()
    _table(("database", "bare SDK", "pool", "ratio (at least 0.7)", "small", "ratio", "naive"), rows)
    _say(f"With the default limit, {limit:g} requests a second:")
    _say()
    _table(
        ("database", "messages a second", "share of the limit (at least 0.95)", "most requests within one second"),
        limit_rows,
    )


def bench_pages(on: Host, kinds: Sequence[str], messages: int, runs: int) -> None:
    """(d): each page and search with so many messages, against 10,000 of them, and against an empty page."""
    sizes = (pages.Size(pages.SMALL), pages.Size(messages))
    tables = []
    for kind in kinds:
        _note(f"{kind}: filling {sizes[0].messages:,} and {sizes[1].messages:,} messages …")
        small, large = (
            pages.make(on, kind, name, size) for name, size in zip(("small", "large"), sizes, strict=True)
        )
        timed = pages.time_pages(small, large, sizes, 8 * runs)
        empty = pages.p95(timed[pages.EMPTY].large)
        rows = [
            (
                name,
                _spread(one.small, 1),
                _spread(one.large, 1),
                f"**{one.ratio:.2f}**",
                f"{pages.p95(one.large):.1f}",
                f"**{pages.p95(one.large) / empty:.1f}**",
            )
            for name, one in timed.items()
        ]
        tables.append((large.label, rows))
        for database in (small, large):
            on.drop(database)
    few, many = sizes
    _say(f"### (d) Each page and search at {many.messages:,} messages, and at {few.messages:,}")
    _say()
    _say(
        f"Of one practice with {many.patients:,} patients, and with {few.patients:,}. Milliseconds until the whole "
        "page is there, over HTTP from the portal's own web server, the two in turn; p95 of the large practice, and "
        "its ratio to that of an empty page."
    )
    _say()
    for label, rows in tables:
        head = (
            label,
            f"{few.messages:,}",
            f"{many.messages:,}",
            "ratio (at most 1.5)",
            "p95",
            "to empty (at most 3)",
        )
        _table(head, rows)


PARTS: dict[str, Callable[[Host, Sequence[str], int, int], None]] = {
    "passes": bench_passes,
    "sending": bench_sending,
    "pages": bench_pages,
}


@click.command(help=__doc__)
@click.option("--part", "parts", type=click.Choice(list(PARTS)), multiple=True, help="Only this; all by default.")
@click.option("--database", "kinds", type=click.Choice(KINDS), multiple=True, help="Only this; both by default.")
@click.option("--practices", default=1000, show_default=True, help="How many, for the pass.")
@click.option("--senders", default=12, show_default=True, help="How many practices, for sending.")
@click.option("--messages", default=1_000_000, show_default=True, help="How many, for the pages.")
@click.option("--runs", default=5, show_default=True)
def main(parts: Sequence[str], kinds: Sequence[str], practices: int, senders: int, messages: int, runs: int) -> None:
    kinds = kinds or KINDS
    many = {"passes": practices, "sending": senders, "pages": messages}
    with host() as on:
        versions = ", ".join(f"{kind} {on.version(kind)}" for kind in kinds)
        _say(f"Python {platform.python_version()}, {versions}, {platform.machine()}, {datetime.now(UTC):%d %B %Y}.")
        _say(f"Medians of {runs} interleaved runs; the least and the most in brackets.")
        _say()
        for part in parts or PARTS:
            PARTS[part](on, kinds, many[part], runs)


if __name__ == "__main__":
    main()
