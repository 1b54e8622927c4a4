"""The day's line, mailed after its first pass: who will be texted, and who will not and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from portal.core.phrases import counted, day, listed, plain

_MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class NotReached:
    """Those whom one cause keeps from being texted: each with the time, `Mia Nguyen (9:30am)`."""

    why: str
    people: Sequence[str]


def line(
    of: date,
    today: date,
    texted: int,
    not_texted: int,
    groups: Sequence[NotReached],
    *,
    is_off: bool,
    with_names: bool,
) -> tuple[str, str]:
    """Subject and text. `texted`, `not_texted`: patients with appointments on that day. `is_off`: the practice
    rehearses or has paused, so nobody is texted at all."""
    when = day(of, today)
    when = when if when.islower() else f"on {when}"
    everybody = texted + not_texted
    if not everybody:
        says = f"No appointment {when} needs a reminder."
    elif not not_texted:
        says = f"All {everybody:,} patients with appointments {when} will be texted."
        if everybody == 1:
            says = f"The one patient with an appointment {when} will be texted."
    else:
        says = f"{texted:,} of {counted(everybody, 'patient')} with appointments {when} will be texted."
    subject = says
    if is_off:
        subject = f"Sending is off: nobody is texted about appointments {when}"
        says = f"Sending is off for the whole practice: nobody is texted. Were it on:\n\n{says}"
    lines = [says]
    if groups:
        lines += ["", f"{not_texted:,} will not:"]
        lines += [f"- {group.why}: {_who(group, with_names)}" for group in groups]
    return subject.rstrip("."), "\n".join(lines)


def _who(group: NotReached, with_names: bool) -> str:
    if not with_names:
        return f"{len(group.people):,}"
    names = [plain(person, 80) for person in group.people[:_MOST_NAMES]]
    more = len(group.people) - len(names)
    return listed([*names, f"{more:,} more"] if more else names)
