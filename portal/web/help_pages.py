"""The help pages: the repository's own Markdown, `docs/help` and `docs/sysadmin`, as pages of the portal.

Everything there is to serve is found at the start, by name; what is asked for later is looked up, never a path of the
disk. Raw HTML in the Markdown is shown as text.
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from posixpath import join, normpath

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from portal.core import help_search
from portal.core.help_search import Sentence, sentences_of

FOLDERS = ("help", "sysadmin")
_CONTENTS = "index.md"
_ELSEWHERE = re.compile(r"[a-z]+:", re.IGNORECASE)
_NARROW = "(max-width: 40rem)"


@dataclass(frozen=True, slots=True)
class HelpPage:
    """`name`: as in its address, `today` or `sysadmin/alarms`. `text`: without its title."""

    name: str
    title: str
    text: Markup
    sentences: tuple[Sentence, ...]

    @property
    def is_for_sysadmin(self) -> bool:
        return self.name.startswith("sysadmin/")


@dataclass(frozen=True, slots=True)
class Library:
    """`contents`: of each folder, the page that lists its pages. `pages` by name, `pictures` by file name: only those
    that a page shows."""

    contents: Mapping[str, HelpPage]
    pages: Mapping[str, HelpPage]
    pictures: Mapping[str, Path]
    index: help_search.Index


def read_library(docs: Path) -> Library:
    """Of the folder that holds the folders of pages, and `screens`."""
    texts = {
        f"{folder}/{path.name}": path.read_text("utf-8")
        for folder in FOLDERS
        for path in (docs / folder).glob("*.md")
    }
    screens = {f"screens/{path.name}": path for path in (docs / "screens").glob("*.png")}
    reader = _Reader(texts, screens)
    contents = {folder: reader.page(f"{folder}/{_CONTENTS}") for folder in FOLDERS}
    pages = [reader.page(file) for file in sorted(texts) if not file.endswith(f"/{_CONTENTS}")]
    index = help_search.Index(
        help_search.Page(page.name, page.title, page.sentences, page.is_for_sysadmin) for page in pages
    )
    return Library(contents, {page.name: page for page in pages}, {path.name: path for path in reader.shown}, index)


def _name(file: str) -> str:
    """`help/today.md` is `today`, `sysadmin/alarms.md` is `sysadmin/alarms`."""
    return file.removesuffix(".md").removeprefix("help/")


class _Reader:
    """`texts` and `screens` by their paths within docs/. `shown`: the pictures that pages have named so far."""

    def __init__(self, texts: Mapping[str, str], screens: Mapping[str, Path]) -> None:
        self._texts, self._screens = texts, screens
        self.shown: set[Path] = set()
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
        self._markdown.add_render_rule(
            "image", lambda _renderer, tokens, index, _options, env: self._picture(tokens[index], env["file"])
        )
        # On a phone a cell stands beside its heading, as one piece.
        self._markdown.add_render_rule(
            "td_open",
            lambda renderer, tokens, index, options, _: renderer.renderToken(tokens, index, options, _) + "<span>",
        )
        self._markdown.add_render_rule("td_close", lambda *_: "</span></td>\n")

    def page(self, file: str) -> HelpPage:
        tokens = self._markdown.parse(self._texts[file])
        title = tokens[1].content
        body = tokens[3:]  # what follows the title
        for token, its_text in pairwise(body):
            if token.type == "heading_open":
                token.attrSet("id", heading_id(its_text.content))
        _make_cards(body)
        for token in body:
            token.children = [*self._links(token.children or [], file)] if token.children else token.children
        text = self._markdown.renderer.render(body, self._markdown.options, {"file": file})
        return HelpPage(_name(file), title, Markup(text), tuple(_sentences(body)))  # noqa: S704 (no raw HTML in it)

    def _links(self, tokens: Sequence[Token], file: str) -> Iterator[Token]:
        """To other pages by their addresses here. What the portal does not serve is no link."""
        is_open = True
        for token in tokens:
            if token.type == "link_open":
                address = self._address(str(token.attrGet("href")), file)
                is_open = address is not None
                token.attrSet("href", address or "")
            if token.type not in ("link_open", "link_close") or is_open:
                yield token

    def _address(self, href: str, file: str) -> str | None:
        if _ELSEWHERE.match(href) or href.startswith("#"):
            return href
        path, _, heading = href.partition("#")
        other = normpath(join(file, "..", path))
        if other not in self._texts:
            return None
        return f"/help/{_name(other)}" + (f"#{heading}" if heading else "")

    def _picture(self, token: Token, file: str) -> str:
        """With the one for phones where there is one, and a link to the whole page of which it shows a part."""
        wide = self._screens.get(normpath(join(file, "..", str(token.attrGet("src")))))
        alt = escape(token.content)
        if wide is None:
            return str(alt)
        phone = self._screens.get(f"screens/{wide.name.replace('-1280', '-390')}")
        whole = self._screens.get(f"screens/{wide.name.replace('-part', '')}", wide)
        self.shown.update({wide, phone or wide, whole})
        source = f'<source media="{_NARROW}" {_sized(phone, "srcset")}>' if phone else ""
        image = f'<img {_sized(wide, "src")} alt="{alt}" loading="lazy">'
        return f'<a class="picture" href="{_place(whole)}"><picture>{source}{image}</picture></a>'


_ROLES = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "th": "columnheader", "td": "cell"}


def _make_cards(tokens: Sequence[Token]) -> None:
    """Tables as they are elsewhere in the portal: on a phone each row is a card, and each cell has its heading."""
    headings, column = list[str](), 0
    for token, its_text in pairwise(tokens):
        if token.nesting < 1 or token.tag not in _ROLES:
            continue
        token.attrSet("role", _ROLES[token.tag])
        if token.tag == "table":
            token.attrSet("class", "cards")
            headings = []
        elif token.tag == "tr":
            column = 0
        elif token.tag == "th":
            headings.append(its_text.content)
        elif token.tag == "td":
            token.attrSet(*(("data-label", headings[column]) if column else ("class", "who")))
            column += 1


def _place(picture: Path) -> str:
    return f"/help/pictures/{picture.name}"


def _sized(picture: Path, attribute: str) -> str:
    """Its address and its size, in pixels: the page's lines keep their places while it comes."""
    with picture.open("rb") as file:
        width, height = struct.unpack(">II", file.read(24)[16:])
    return f'{attribute}="{_place(picture)}" width="{width}" height="{height}"'


def heading_id(text: str) -> str:
    """As GitHub names it, so that a link to it leads there in both."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def _sentences(tokens: Sequence[Token]) -> Iterator[Sentence]:
    """What can be found: a table's row counts as one sentence."""
    heading, row = "", list[str]()
    for before, token in pairwise(tokens):
        text = _said(token)
        if token.type == "tr_close" and row:
            yield Sentence(": ".join(row), heading)
            row = []
        if token.type == "code_block":
            yield Sentence(" ".join(token.content.split()), heading)
        if token.type != "inline" or not text:
            continue
        if before.type == "heading_open":
            heading = str(before.attrGet("id"))
            yield Sentence(text, heading, is_heading=True)
        elif before.type in ("td_open", "th_open"):
            row.append(text)
        else:
            yield from (Sentence(sentence, heading) for sentence in sentences_of(text))


def _said(token: Token) -> str:
    """Its words, without marks and pictures."""
    parts = (
        " " if child.type == "softbreak" else child.content for child in token.children or [] if child.type != "image"
    )
    return "".join(parts)
