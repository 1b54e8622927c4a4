"""Commands for a practice's own affairs: its export, its credits, its main switch."""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from portal import clock
from portal.actions.credits import ledger, top_up
from portal.actions.import_practice import Conflict, ImportResult, Problem, import_folder
from portal.actions.sending import switch_sending
from portal.commands.base import (
    installation,
    iso,
    json_option,
    pick_practice,
    practice_option,
    print_json,
    print_rows,
)
from portal.core.phrases import counted, plain
from portal.core.reminders import Sending

_MOST_LISTED = 20  # ids in one line


class _Report:
    """What the import says while it runs: problems on standard error, a bar on a terminal."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def problem(self, problem: Problem) -> None:
        self._say(str(problem))

    def warning(self, warning: Problem) -> None:
        self._say(f"Note: {warning}")

    def _say(self, sentence: str) -> None:
        if self._bar.live.is_started:
            self._bar.console.print(sentence, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(sentence, err=True)

    def progress(self, file: str, done: int, total: int) -> None:
        if not self._bar.live.is_started:
            return
        if file not in self._tasks:
            self._tasks[file] = self._bar.add_task(file, total=total)
        self._bar.update(self._tasks[file], completed=done, total=total)


@click.command("import")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--accept-valid", is_flag=True, help="Import the good rows; write the bad ones to rejects.csv.")
@click.option(
    "--withdraw-missing", is_flag=True, help="Cancel future appointments that appointments.csv no longer holds."
)
@practice_option
@json_option
def import_(folder: Path, accept_valid: bool, withdraw_missing: bool, practice: str | None, as_json: bool) -> None:
    """Take a practice's export folder."""
    with installation(concerns_sending=True), _bar() as bar:
        result = import_folder(
            folder,
            clock.now(),
            report=_Report(bar),
            practice_id=practice,
            accept_valid=accept_valid,
            withdraw_missing=withdraw_missing,
        )
    if as_json:
        print_json(result.as_json())
    else:
        _print_result(result, withdraw_missing)
    if not result.is_imported:
        sys.exit(1)


def _bar() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def _print_result(result: ImportResult, withdraw_missing: bool) -> None:
    if result.counts:
        columns = ("read", "added", "changed", "unchanged", "removed", "rejected")
        rows = [(file, *[f"{getattr(counts, name):,}" for name in columns]) for file, counts in result.counts.items()]
        print_rows(("file", *columns), rows, right=columns)
    if not result.is_imported:
        click.echo(f"{counted(result.problems, 'problem')}: nothing was imported.", err=True)
        return
    if result.problems:
        click.echo(f"{counted(result.problems, 'problem')}; the rejected rows are in {result.rejects}.")
    _list_conflicts(result.conflicts)
    done = "Withdrawn, for the export no longer holds them" if withdraw_missing else "No longer in the export"
    _list_ids(f"{done}: appointments", list(result.missing))
    if result.drafts:
        click.echo(f"{counted(result.drafts, 'template')} cannot be used; see the notes above.")
    new = " It is new." if result.is_new else ""
    click.echo(f"Practice {result.practice_id} is up to date ({result.seconds:.1f} s).{new}")


def _list_conflicts(conflicts: tuple[Conflict, ...]) -> None:
    """With both values where they are settings; a patient's are on the page only: this may end in a log."""
    if not conflicts:
        return
    click.echo(
        f"Both the export and staff changed {counted(len(conflicts), 'value')}; staff's stand. "
        "The portal shows both of each under Settings, Import:"
    )
    for one in conflicts[:_MOST_LISTED]:
        both = "" if one.exported is None else f": yours {_quoted(one.yours)}, the export's {_quoted(one.exported)}"
        click.echo(f"  {one.file}: {plain(one.id)}: {one.column}{both}")
    if len(conflicts) > _MOST_LISTED:
        click.echo(f"  and {len(conflicts) - _MOST_LISTED} more")


def _quoted(value: object) -> str:
    return f'"{plain(str(value))}"'


def _list_ids(what: str, ids: list[str]) -> None:
    if ids:
        more = f" and {len(ids) - _MOST_LISTED} more" if len(ids) > _MOST_LISTED else ""
        click.echo(f"{what}: {', '.join(plain(id_) for id_ in ids[:_MOST_LISTED])}{more}.")


@click.group()
def credits() -> None:
    """The ledger, and top-ups."""


@credits.command("top-up")
@click.argument("amount", metavar="N", type=int)
@click.option("--reference", default="", help="E.g. an invoice's number.")
@practice_option
@json_option
def top_up_(amount: int, reference: str, practice: str | None, as_json: bool) -> None:
    """Add N credits."""
    with installation(concerns_sending=True):
        id_ = pick_practice(practice)
        balance = top_up(id_, amount, reference, clock.now())
    if as_json:
        print_json({"practice": id_, "added": amount, "balance": balance})
    else:
        click.echo(f"{counted(amount, 'credit')} added; the balance of {id_} is {balance:,}.")


@credits.command("show")
@click.option(
    "--most",
    type=click.IntRange(1, 1_000_000_000),
    help="Only the newest so many entries. Default: 50; all with --json.",
)
@practice_option
@json_option
def show_credits(most: int | None, practice: str | None, as_json: bool) -> None:
    """The balance and the ledger, the newest entry first."""
    with installation():
        id_ = pick_practice(practice)
        found = ledger(id_, most if most or as_json else 50)
    if as_json:
        print_json(
            {
                "practice": id_,
                "balance": found.balance,
                "entries": [
                    {
                        "id": entry.id,
                        "at": iso(entry.at),
                        "kind": entry.kind,
                        "amount": entry.amount,
                        "message": entry.message_id,
                        "reference": entry.reference,
                    }
                    for entry in found.entries
                ],
            }
        )
        return
    rows = [
        (f"{entry.at:%Y-%m-%d %H:%M}", f"{entry.amount:+,}", entry.kind, str(entry.message_id or ""), entry.reference)
        for entry in found.entries
    ]
    print_rows(("time (UTC)", "credits", "what for", "message", "reference"), rows, right=("credits", "message"))
    click.echo(f"Balance of {id_}: {found.balance:,}.")


@click.command("sending")
@click.argument("state", type=click.Choice([state.value for state in Sending]))
@practice_option
@json_option
def sending(state: str, practice: str | None, as_json: bool) -> None:
    """The practice's main switch."""
    wanted = Sending(state)
    with installation(concerns_sending=True):
        id_ = pick_practice(practice)
        before = switch_sending(id_, wanted, clock.now())
    if as_json:
        print_json({"practice": id_, "sending": wanted, "before": before})
        return
    says = {
        Sending.ON: f"Sending is on for {id_}: the next pass sends.",
        Sending.PAUSED: f"Sending is paused for {id_}: what waits is held back, and nothing new goes.",
        Sending.REHEARSAL: f"{id_} rehearses: everything is decided and shown, nothing is sent.",
    }
    click.echo(says[wanted] + ("" if before is not wanted else " (It was so before.)"))
