"""`portal doctor`."""

import sys
from dataclasses import asdict

import click
from rich.text import Text

from portal import clock
from portal.commands.base import console, json_option, print_json
from portal.config import load_settings
from portal.doctor import Level, examine

_MARKS = {Level.OK: ("✓", "green"), Level.NOTE: ("–", "yellow"), Level.MEND: ("✕", "bold red")}


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check everything, and say what to mend."""
    settings = load_settings()
    if settings.test_clock and not clock.is_shifted():
        clock.start_at(settings.test_clock)
    out = console()
    findings = []
    for finding in examine(settings, clock.now()):
        findings.append(finding)
        if not as_json:
            out.print(Text.assemble(_MARKS[finding.level], f" {finding.about:<15} ", finding.says))
            if finding.mend:
                out.print(Text(f"{'':<18}→ {finding.mend}", style="cyan"))
    to_mend = sum(finding.level is Level.MEND for finding in findings)
    if as_json:
        print_json({"ok": not to_mend, "findings": [asdict(finding) for finding in findings]})
    else:
        out.print(f"{to_mend} to mend." if to_mend else "All is well.")
    sys.exit(1 if to_mend else 0)
