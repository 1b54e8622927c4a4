"""Texts that staff type: as they are sent, what is wrong with one, and a template filled as far as it can be."""

import re
from collections.abc import Sequence
from unicodedata import category

from portal.core.phrases import listed, plain
from portal.core.text import PLACEHOLDERS, Details, Template, TemplateError, compile_template, count_parts, values

MOST_PARTS = 10
_NAMES = "|".join(map(re.escape, PLACEHOLDERS))
_IN_OTHER_BRACES = re.compile(rf"[{{\[]\s*({_NAMES})\s*[}}\]]", re.IGNORECASE)  # not two of them: sent as it stands
_PLACEHOLDER = re.compile(rf"\{{\{{[^{{}}]*\}}\}}|{_IN_OTHER_BRACES.pattern}", re.IGNORECASE)
_CANNOT_BE_SENT = frozenset({"Cc", "Cs"})  # control characters, halves of a pair
_SHOWN = 20  # characters before the one that is wrong


def tidy(text: str) -> str:
    """As it is sent: browsers end lines with two characters; what stands around the text is not part of it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def problem_with(text: str) -> str:
    """Why a text cannot be sent as it is, and how to mend it; empty where it can. `text`: tidied."""
    if not text:
        return "Write the text first."
    for at, char in enumerate(text):
        if category(char) in _CANNOT_BE_SENT and char != "\n":
            before = plain(text[max(0, at - _SHOWN) : at])
            where = f'after "{before}"' if before else "at the beginning"
            return f"There is a character {where} that cannot be sent: delete it, and type it anew."
    if left := _PLACEHOLDER.search(text):
        return f"{plain(left.group())} is still in it: write what the patient is to read there."
    parts = count_parts(text)
    if parts > MOST_PARTS:
        return f"It is as long as {parts:,} texts; {MOST_PARTS} are the most that are sent as one: shorten it."
    return ""


def read_text(typed: str, known: Sequence[str]) -> tuple[Template | None, str]:
    """The text with its placeholders, and what is wrong with it, and how to mend it; empty where all is well."""
    text = tidy(typed)
    try:
        template = compile_template(text)
    except TemplateError as error:
        return None, str(error)
    if left := [in_braces(name) for name in PLACEHOLDERS if name in template.placeholders and name not in known]:
        return None, f"{listed(left)} cannot be filled in for these patients: write out what is to stand there."
    if slip := next(filter(None, map(_IN_OTHER_BRACES.search, template.pieces[::2])), None):
        meant = next(name for name in PLACEHOLDERS if name.casefold() == slip[1].casefold())
        return None, f"{plain(slip[0])} would be sent as it stands: did you mean {in_braces(meant)}?"
    # A name of middling length in each place.
    problem = problem_with(template.fill(dict.fromkeys(PLACEHOLDERS, "x" * 10)))
    return (None, problem) if problem else (template, "")


def fill_what_is_known(template: Template, details: Details, known: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The text, and the placeholders that are left in it. `known`: how those begin that have a value: `Patient.`."""
    left = tuple(name for name in PLACEHOLDERS if name in template.placeholders and not name.startswith(known))
    filled = values(details)
    return template.fill({name: in_braces(name) if name in left else filled[name] for name in PLACEHOLDERS}), left


def in_braces(name: str) -> str:
    """As it stands in a template."""
    return f"{{{{{name}}}}}"
