"""What the commands share: an installation to work on, a practice to pick, output for people or as JSON."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
from flask import Flask
from rich.console import Console
from rich.table import Table
from rich.text import Text

from portal import create_app, store
from portal.actions.notices import notices
from portal.config import Settings, load_settings
from portal.core.phrases import plain
from portal.core.wording import Outcome

_WIDTH_OF_A_FILE = 200  # characters, where the output is no terminal: no line is folded without need
_NARROW = 72
_LONGEST_CELL = 1_000
_MOST_IDS = 20
_STYLES = {"grey": "bright_black", "blue": "blue", "green": "green", "red": "red", "amber": "yellow"}


class Failed(click.ClickException):
    """Refused or failed, with the cause in words; exit status 1."""

    def show(self, file: Any = None) -> None:
        click.echo(self.format_message(), err=True)


@dataclass(frozen=True)
class Installation:
    settings: Settings
    app: Flask


@contextmanager
def installation(*, concerns_sending: bool = False) -> Iterator[Installation]:
    """The application on a database that is up to date. `concerns_sending`: say where nothing can be sent."""
    settings = load_settings()
    app = create_app(settings)
    with app.app_context():
        try:
            _check_database()
            if concerns_sending:
                warn(notices(settings.can_send))
            yield Installation(settings, app)
        finally:
            store.database.db.engine.dispose()


def _check_database() -> None:
    revision = store.revision.find_revision()
    if revision is None:
        raise Failed("The database is not set up yet: run `portal init`.")
    if revision != store.revision.newest_revision():
        raise Failed("The database is of another version of the portal: run `portal init` to upgrade it.")


def warn(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        click.secho(sentence, err=True, fg="red", bold=True)


def pick_practice(given: str | None) -> str:
    """The practice that is asked for, or the only one. Raises UsageError where that leaves a choice."""
    with store.everything() as session:
        ids = [practice.id for practice in store.practices.list_practices(session)]
    if not ids:
        raise Failed("There is no practice yet: `portal import DIR` makes one, or you do in the browser.")
    if given in ids:
        return given
    if given is None and len(ids) == 1:
        return ids[0]
    more = f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else ""
    which = f"{', '.join(ids[:_MOST_IDS])}{more}"
    if given is None:
        raise click.UsageError(f"There is more than one practice. Pick one with --practice: {which}.")
    raise click.UsageError(f"There is no practice {given!r}. There are: {which}.")


def practice_option(command: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--practice", "practice", metavar="ID", help="Which practice, where there is more than one."
    )
    return option(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


# --- output -------------------------------------------------------------------------------------------------


def console() -> Console:
    """Colour on a terminal only. Nothing in a text is taken for markup."""
    is_terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout, width=None if is_terminal else _WIDTH_OF_A_FILE, highlight=False, markup=False, emoji=False
    )


def print_json(value: Any) -> None:
    """One line."""
    click.echo(json.dumps(value))


def iso(instant: datetime | None) -> str | None:
    """ISO 8601 in UTC."""
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def outcome_text(outcome: Outcome) -> Text:
    return Text(f"{outcome.shape} {outcome.word}", style=_STYLES[outcome.colour])


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[str | Text]], right: Sequence[str] = ()) -> None:
    """A table; on a narrow terminal a block for each row. The columns named in `right` are numbers or times."""
    out = console()
    if out.width < _NARROW:
        for row in rows:
            for heading, cell in zip(headings, row, strict=True):
                if str(cell):
                    out.print(Text.assemble((f"{heading}: ", "bold"), _cell(cell)))
            out.print()
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*[_cell(cell) for cell in row])
    out.print(table)


def _cell(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(plain(cell, _LONGEST_CELL))
