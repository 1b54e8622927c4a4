"""Commands that look: the log, the diagnosis of one appointment, the preview of a day, the passes."""

from collections import Counter
from datetime import date, datetime
from typing import Any

import click
from rich.text import Text

from portal import clock
from portal.actions.browse_log import Asked, browse, stream
from portal.actions.diagnose import diagnose
from portal.actions.passes import PassRecord, stream_passes
from portal.actions.preview import Line, preview
from portal.commands.base import (
    console,
    installation,
    iso,
    json_option,
    outcome_text,
    pick_practice,
    practice_option,
    print_json,
    print_rows,
)
from portal.core.diagnosis import Check, Diagnosis
from portal.core.numbers import as_people_say
from portal.core.phrases import clock_time, day
from portal.core.reasons import DIAGNOSIS_ONLY, Reason
from portal.core.states import Direction, Kind, Status
from portal.core.timing import local
from portal.core.wording import NO_REMINDER_YET, OUTCOMES, reason_in_short, reasons_in_short
from portal.store.communications import LogLine

_MOST_FOR_PEOPLE = 200
_REASONS = [reason.value for reason in Reason if reason not in DIAGNOSIS_ONLY]


@click.command()
@click.option("--appointment", metavar="ID", help="Only of this appointment (the export's id).")
@click.option("--status", type=click.Choice([status.value for status in Status]), help="Only of this outcome.")
@click.option("--reason", type=click.Choice(_REASONS), help="Only those that did not go for this reason.")
@click.option("--business", metavar="ID", help="Only of this business (the export's id).")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]))
@click.option("--direction", type=click.Choice([direction.value for direction in Direction]))
@click.option("--from", "first", metavar="D", type=click.DateTime(["%Y-%m-%d"]), help="Only from this day on.")
@click.option("--to", "last", metavar="D", type=click.DateTime(["%Y-%m-%d"]), help="Only until the end of this day.")
@click.option("--search", default="", metavar="TEXT", help="Beginnings of words, the end of a number, or an id.")
@click.option(
    "--most", type=click.IntRange(1, 1_000_000_000), help="Only the newest so many. Default: 200; all with --json."
)
@practice_option
@json_option
def log(
    appointment: str | None,
    status: str | None,
    reason: str | None,
    business: str | None,
    kind: str | None,
    direction: str | None,
    first: datetime | None,
    last: datetime | None,
    search: str,
    most: int | None,
    practice: str | None,
    as_json: bool,
) -> None:
    """The communications log.

    The newest first; as JSON the oldest first, one object a line.
    """
    asked = Asked(
        search=search,
        status=Status(status) if status else None,
        reason=Reason(reason) if reason else None,
        business=business,
        kind=Kind(kind) if kind else None,
        direction=Direction(direction) if direction else None,
        first_day=first.date() if first else None,
        last_day=last.date() if last else None,
        appointment=appointment,
    )
    with installation(concerns_sending=True):
        id_ = pick_practice(practice)
        if as_json:
            for message in stream(id_, asked, most=most):
                print_json(message)
            return
        page = browse(id_, most or _MOST_FOR_PEOPLE, asked)
    headings = ("message", "when", "patient", "appointment", "to", "outcome", "why")
    print_rows(headings, [_log_row(entry, page.country) for entry in page.entries], right=("message",))
    if not page.entries:
        click.echo("No message yet." if asked == Asked() else "Nothing was found.")
    if page.older is not None:
        click.echo(f"There are older ones: the newest {len(page.entries)} are shown; --most shows more.")


def _log_row(entry: LogLine, country: str) -> tuple[str | Text, ...]:
    message = entry.message
    return (
        str(message.id),
        _wall(entry.at, entry.timezone),
        entry.full_name,
        entry.appointment or "",
        as_people_say(message.to, country) if message.to else "",
        outcome_text(OUTCOMES[message.status]),
        reasons_in_short(message.reasons),
    )


def _wall(instant: datetime, zone: str | None) -> str:
    return f"{local(instant, zone) if zone else instant:%Y-%m-%d %H:%M}"


@click.command()
@click.argument("appointment", metavar="APPOINTMENT")
@practice_option
@json_option
def why(appointment: str, practice: str | None, as_json: bool) -> None:
    """Why a reminder went, or did not.

    APPOINTMENT is the export's id.
    """
    with installation(concerns_sending=True):
        found = diagnose(pick_practice(practice), appointment, clock.now())
    if as_json:
        print_json(_why_json(found))
    else:
        _print_why(found)


def _why_json(found: Diagnosis) -> dict[str, Any]:
    return {
        "appointment": found.appointment,
        "message": found.message_id,
        "status": found.status,
        "reasons": list(found.reasons),
        "checks": [
            {"code": check.code, "ok": check.ok, "detail": check.detail, "fix": check.fix or None}
            | {"place": check.place or None}
            for check in found.checks
        ],
        "recorded": [
            {"at": iso(one.at), "status": one.status, "reasons": list(one.reasons)} for one in found.recorded
        ],
        "next_pass_at": iso(found.next_pass_at),
    }


def _print_why(found: Diagnosis) -> None:
    out = console()
    out.print(Text(found.question, style="bold"))
    outcome = OUTCOMES[found.status] if found.status else NO_REMINDER_YET
    out.print(Text.assemble("  ", outcome_text(outcome)))
    for one in found.explained:
        out.print(Text.assemble("  ", (f"{one.words.heading}. ", "bold"), one.words.says))
    out.print()
    for check in found.lines:
        _print_check(check)
    for sentence in (found.next_try, *(f"Recorded: {one}." for one in found.recorded_in_words)):
        if sentence:
            out.print(Text(f"  {sentence}"))


def _print_check(check: Check) -> None:
    mark = ("✓", "green") if check.ok else ("✕", "bold red")
    out = console()
    out.print(Text.assemble("  ", mark, f" {check.label:<17} ", check.detail))
    if check.fix:
        out.print(Text.assemble(" " * 22, (f"→ {check.fix}", "cyan"), f"  {check.place}"))


@click.command("preview")
@click.option("--date", "day_", metavar="D", type=click.DateTime(["%Y-%m-%d"]), help="Of the appointments.")
@practice_option
@json_option
def preview_(day_: datetime | None, practice: str | None, as_json: bool) -> None:
    """Who will and will not be reached, and why.

    With the reminders for the appointments of one day.
    Without --date: the appointments of the next reminder hour to come.
    """
    with installation(concerns_sending=True):
        now = clock.now()
        found = preview(pick_practice(practice), day_.date() if day_ else None, now)
    if as_json:
        lines = [_line_json(line) for line in found.lines]
        print_json(
            {
                "date": found.day.isoformat(),
                "credits": found.credits,
                "credits_needed": found.needed,
                "appointments": lines,
            }
        )
        return
    _print_preview(found.day, list(found.lines), found.credits, found.needed)


def _line_json(line: Line) -> dict[str, Any]:
    return {
        "appointment": line.appointment,
        "patient": line.patient_id,
        "business": line.business_id,
        "starts_at": iso(line.starts_at),
        "status": line.status,
        "reasons": list(line.reasons),
        "segments": line.segments,
        "pass_at": iso(line.pass_at),
    }


def _print_preview(of: date, lines: list[Line], credits: int, needed: int) -> None:
    will = [line for line in lines if line.pass_at and line.status is Status.QUEUED]
    will_not = [line for line in lines if line.pass_at and line.status is not Status.QUEUED]
    settled = [line for line in lines if not line.pass_at]
    out = console()
    out.print(Text(f"Appointments of {day(of, None)}", style="bold"))
    if not lines:
        out.print("There are none.")
    for heading, some in (
        (f"{len(will)} will be texted", will),
        (f"{len(will_not)} will not, unless mended", will_not),
        (f"{len(settled)} settled already", settled),
    ):
        if some:
            out.print()
            out.print(Text(heading, style="bold"))
            print_rows(
                ("time", "appointment", "patient", "business", "outcome", "why"), [_row(line) for line in some]
            )
    why_not = Counter(reason for line in will_not for reason in line.reasons)
    if why_not:
        out.print()
        for reason, times in sorted(why_not.items(), key=lambda item: list(Reason).index(item[0])):
            out.print(Text(f"{times:>5}  {reason_in_short(reason)}"))
    out.print()
    out.print(Text(f"Credits: {credits:,}; these reminders need {needed:,}."))


def _row(line: Line) -> tuple[str | Text, ...]:
    if line.pass_at and line.status is Status.QUEUED:
        there = local(line.pass_at, line.timezone)
        what: str | Text = Text(f"◔ goes {clock_time(there)} {there:%d %b}", style="green")
    else:
        what = outcome_text(OUTCOMES[line.status] if line.status else NO_REMINDER_YET)
    return (
        clock_time(line.starts_local),
        line.appointment,
        line.patient,
        line.business,
        what,
        reasons_in_short(line.reasons),
    )


@click.command()
@click.option(
    "--most", type=click.IntRange(1, 1_000_000_000), help="Only the newest so many. Default: 50; all with --json."
)
@click.option("--practice", "practice", metavar="ID", help="Only of this practice.")
@json_option
def passes(most: int | None, practice: str | None, as_json: bool) -> None:
    """What each pass did.

    The newest first; as JSON one object a line.
    """
    with installation(concerns_sending=True):
        id_ = pick_practice(practice) if practice else None
        found = stream_passes(id_, most or (None if as_json else 50))
        if as_json:
            for record in found:
                print_json(_pass_json(record))
            return
        rows = [_pass_row(record) for record in found]
    numbers = ("considered", "queued", "not sent", "failed", "seconds")
    print_rows(("practice", "businesses", "at (UTC)", *numbers), rows, right=numbers)
    if not rows:
        click.echo("No pass has run yet: cron calls `portal enqueue`, or `portal up` does.")


def _pass_json(record: PassRecord) -> dict[str, Any]:
    return {
        "practice": record.practice,
        "businesses": list(record.businesses),
        "at": iso(record.at),
        "considered": record.considered,
        "queued": record.queued,
        "not_sent": record.not_sent,
        "failed": record.failed,
        "seconds": record.seconds,
    }


def _pass_row(record: PassRecord) -> tuple[str, ...]:
    counts = (record.considered, record.queued, record.not_sent, record.failed)
    return (
        record.practice,
        ", ".join(record.businesses),
        f"{record.at:%Y-%m-%d %H:%M}",
        *[f"{count:,}" for count in counts],
        f"{record.seconds:.2f}",
    )
