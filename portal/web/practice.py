"""Whose pages these are. Until there is sign-in: the only practice, or the one that the address names."""

from collections.abc import Sequence

from flask import Blueprint, abort, current_app, g, render_template, request

from portal import store
from portal.actions.notices import notices
from portal.store.practices import Practice


def of_a_practice(pages: Blueprint) -> None:
    """Each of the blueprint's pages is of one practice, `g.practice`; which one is asked where that is open."""
    pages.before_request(_choose)
    pages.url_defaults(_keep_choice)


def _choose() -> str | None:
    with store.everything() as session:
        practices = store.practices.list_practices(session)
    wanted = request.args.get("practice")
    g.has_choice = len(practices) > 1
    if wanted is None and len(practices) != 1:
        return render_template("practices.html", practices=practices)
    g.practice = _find(practices, wanted)
    return None


def _find(practices: Sequence[Practice], wanted: str | None) -> Practice:
    found = next((practice for practice in practices if wanted in (None, practice.id)), None)
    return found or abort(404)


def _keep_choice(endpoint: str, values: dict[str, object]) -> None:
    if g.get("has_choice") and "practice" in g:
        values.setdefault("practice", g.practice.id)


def find_notices() -> list[str]:
    """What everyone should know who looks at sending."""
    return notices(current_app.extensions["portal.settings"].can_send)
