"""The pages of docs/ hold what they promise: every link and picture is there, every control that they name in bold is
in the portal, and the words for reasons, settings and commands are the product's own."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from portal.cli import cli
from portal.core.alarms import Code
from portal.core.reasons import Reason
from portal.core.wording import OUTCOMES, Context, words
from portal.web.help_pages import heading_id
from tests.processes import ROOT

DOCS = ROOT / "docs"
HELP = sorted((DOCS / "help").glob("*.md"))
SYSADMIN = sorted((DOCS / "sysadmin").glob("*.md"))
EVERY_PAGE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
LONGEST = 700  # words: two screens

# Told of, and no control: roles, kinds of text, opt-outs by whom.
NO_CONTROL = frozenset(
    {
        "They replied STOP.",
        "The phone company reported it.",
        "A colleague wrote it down.",
    }
)
# What a page calls Mia, Robin, North Clinic or 12 stands for whatever a button holds in its place.
ANY = r"(?:.{1,80}?)"
EXAMPLES = re.compile(r"these \d+ numbers|Mia|Robin|North Clinic|the patient|this business|(?<!\d)\d{1,3}(?!\d)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"^( {4}|\t).*$|`[^`]*`", "", text, flags=re.M)


def links_of(path: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text("utf-8"))):
        if not re.match(r"[a-z]+:", link):
            yield link


@pytest.mark.parametrize("path", EVERY_PAGE, ids=name_of)
def test_every_link_and_picture_is_there(path: Path) -> None:
    for link in links_of(path):
        file, _, heading = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), flags=re.M)
            assert heading in map(heading_id, headings), link


@pytest.mark.parametrize("path", [*HELP, *SYSADMIN], ids=name_of)
def test_no_page_is_longer_than_two_screens_or_leads_out_of_help(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("# ")
    assert len(text.split()) <= LONGEST
    for link in links_of(path):
        inside = (path.parent / link.partition("#")[0]).resolve()
        assert inside.parent in (DOCS / "help", DOCS / "sysadmin", DOCS / "screens"), link


@pytest.mark.parametrize("folder", ["help", "sysadmin"])
def test_the_contents_list_every_page(folder: str) -> None:
    contents = DOCS / folder / "index.md"
    listed = [link for link in links_of(contents) if "/" not in link]
    assert sorted(listed) == sorted(path.name for path in (DOCS / folder).glob("*.md") if path != contents)


@pytest.fixture(scope="module")
def portal_says() -> str:
    """What the templates hold, and the sentences that the code gives them."""
    files = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "portal" / "core").glob("*.py")]
    files += [*(ROOT / "portal" / "web").rglob("*.py"), *(ROOT / "portal" / "actions").rglob("*.py")]
    return " ".join(" ".join(path.read_text("utf-8").split()) for path in files)


@pytest.mark.parametrize("path", [*HELP, *SYSADMIN], ids=name_of)
def test_every_control_in_bold_is_in_the_portal(path: Path, portal_says: str) -> None:
    for bold in re.findall(r"\*\*(.+?)\*\*", " ".join(path.read_text("utf-8").split())):
        if bold in NO_CONTROL:
            continue
        pattern = ANY.join(map(re.escape, EXAMPLES.split(bold)))
        assert re.search(rf"(?<![A-Za-z]){pattern}(?![a-z])", portal_says), f"{bold!r} is nowhere in the portal"


def rows_of(page: str) -> dict[str, str]:
    """The rows of its tables, by the text of their first cells."""
    lines = (DOCS / "help" / page).read_text("utf-8").splitlines()
    rows = [line.strip("|").split("|") for line in lines if "|" in line]
    return {row[0].strip(): "|".join(row[1:]) for row in rows}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_told_in_the_products_own_words(reason: Reason) -> None:
    said = words(reason, Context())
    row = rows_of("reasons.md").get(said.heading)
    assert row, said.heading
    if said.fix:
        assert f"**{said.fix}**" in row, said.fix
    else:
        assert "**" not in row


def test_every_outcome_is_told() -> None:
    told = rows_of("communications.md")
    assert [outcome.word for outcome in OUTCOMES.values() if outcome.word not in told] == []


def test_every_alarm_and_every_figure_is_told() -> None:
    alarms = re.findall(r"^\| `([a-z-]+)` \|", (DOCS / "sysadmin" / "alarms.md").read_text("utf-8"), flags=re.M)
    assert sorted(alarms) == sorted(Code)
    put = re.findall(r'put(?:_each)?\(\s*"([a-z_]+)"', (ROOT / "portal" / "web" / "metrics.py").read_text("utf-8"))
    told = re.findall(r"`([a-z_]+)(?:\{[a-z]+\})?`", (DOCS / "sysadmin" / "monitor.md").read_text("utf-8"))
    assert {*put} <= {*told}


def test_every_setting_is_told_and_none_that_is_not_there() -> None:
    known = set(re.findall(r'"((?:PORTAL|VONAGE)_[A-Z_]+)"', (ROOT / "portal" / "config.py").read_text("utf-8")))
    table = (DOCS / "sysadmin" / "settings.md").read_text("utf-8")
    assert set(re.findall(r"`((?:PORTAL|VONAGE)_[A-Z_]+)`", table)) == known
    for path in (*SYSADMIN, ROOT / "README.md"):
        named = set(re.findall(r"\b((?:PORTAL|VONAGE)_[A-Z_]+)\b", path.read_text("utf-8")))
        assert named <= known, path


@pytest.mark.parametrize("path", [ROOT / "README.md", *SYSADMIN, *HELP], ids=name_of)
def test_every_command_and_option_is_there(path: Path) -> None:
    for code, line in re.findall(r"`([^`\n]+)`|^ {4}(.*)$", path.read_text("utf-8"), flags=re.M):
        for asked in re.findall(r"(?:^|/bin/)portal ([^'#]+)", code or line):
            found: click.Command = cli
            words = asked.split()
            while isinstance(found, click.Group) and words and not words[0].startswith("-"):
                assert words[0] in found.commands, asked
                found = found.commands[words.pop(0)]
            options = {option for parameter in found.params for option in parameter.opts} | {"--help"}
            assert {word for word in words if word.startswith("-")} <= options, asked
