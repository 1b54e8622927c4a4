"""What staff send themselves: the composer, a message sent again, and all of the worklist's at once."""

import unicodedata
from collections import Counter
from dataclasses import replace

from flask import Blueprint, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from portal import clock, store
from portal.actions.queue_text import PAUSE
from portal.actions.resend import (
    ONCE_ACCOUNT_IS_WELL,
    Changed,
    Resent,
    list_waiting,
    send_again,
    send_all_again,
    when_it_goes,
)
from portal.actions.take_back import TooLate, take_back
from portal.actions.write import (
    MOST_UNREAD,
    CannotGo,
    Composer,
    MayNotSend,
    TextProblem,
    Weighed,
    open_composer,
    send_text,
    weigh,
)
from portal.core.again import TAKEN
from portal.core.broadcasts import NotThen, Purpose
from portal.core.diagnosis import ON_ITS_WAY
from portal.core.phrases import counted, listed, plain
from portal.core.roles import Permission
from portal.core.text import count_parts_in_gsm
from portal.core.typed_text import MOST_PARTS, tidy
from portal.web.access import allow, writer
from portal.web.communications import render_message
from portal.web.inside import leave_for
from portal.web.row_ids import LARGEST_ID, row_id
from portal.web.today import render_worklist, worklist_says

_TEXT = f"/patients/<int(max={LARGEST_ID}):patient_id>/text"
_MOST_NAMED = 5
_LONGEST_KEY = 64
_WENT = Markup('It went already, or is on its way. <a href="{}">Look at it</a>')
_GOES_AGAIN = Markup('Done. It goes again {}. <a href="{}">Look at it, or take it back</a>')

pages = Blueprint("texts", __name__)


@pages.errorhandler(MayNotSend)
def _who_may(refused: MayNotSend) -> ResponseReturnValue:
    if request.headers.get("HX-Request"):
        said = render_template("texts/_may_not.html", says=str(refused))
        return said, 403, {"HX-Retarget": "#main", "HX-Reswap": "innerHTML"}
    return render_template("texts/may_not.html", says=str(refused)), 403


@pages.get(_TEXT)
@allow(Permission.SEND, Permission.SEND_TO_OWN)
def compose(patient_id: int) -> str:
    """`?appointment=`: its reminder, now; `?message=`: the same once more; both are ids of rows."""
    return _render(_composer(patient_id))


@pages.post(f"{_TEXT}/draft")
@allow(Permission.SEND, Permission.SEND_TO_OWN)
def draft(patient_id: int) -> str:
    """The same form with a template filled in, with what was there before it, or with its cost."""
    typed = as_typed("text")
    match request.form.get("do"):
        case "fill":
            composer = _composer(patient_id, template_id=_row_id("template"))
            # What a template filled in, and nobody touched, is nobody's text.
            own = as_typed("former") if typed == as_typed("filled") else typed
            former = own if own.strip() and own != composer.text else ""
            return _render(composer, former=former, filled=composer.text)
        case "put-back":
            return _render(_composer(patient_id, as_typed("former"), revision=_row_id("revision")))
    return _render_again(_composer(patient_id, typed, revision=_row_id("revision")))


@pages.post("/texts/weigh")
@allow(Permission.SEND, Permission.SEND_TO_OWN)
def weigh_it() -> str:
    """What is typed so far: its cost, and how it will look."""
    text = as_typed("text")
    cost = cost_of(text, weigh(g.practice.id, text))
    return render_template("texts/_weighed.html", sender=g.practice.sender, **cost)


@pages.post(_TEXT)
@allow(Permission.SEND, Permission.SEND_TO_OWN)
def send(patient_id: int) -> ResponseReturnValue:
    text, key = as_typed("text"), request.form.get("form_key", "")[:_LONGEST_KEY]
    try:
        message_id = send_text(
            g.practice.id,
            patient_id,
            text,
            key,
            writer(),
            clock.now(),
            appointment_id=_row_id("appointment"),
            revision=_row_id("revision"),
            in_place_of=_row_id("message"),
            when=request.form.get("at", ""),
            is_marketing=_is_marketing(),
            answers=[id_ for one in request.form.getlist("answers", int)[:MOST_UNREAD] if (id_ := row_id(one))],
        )
    except (TextProblem, NotThen) as problem:
        composer = _composer(patient_id, text, revision=_row_id("revision"))
        field = "at" if isinstance(problem, NotThen) else "text"
        return _render_again(composer, problem=str(problem), problem_field=field), 422
    except CannotGo as refused:  # also that the appointment was moved: from here on that is known
        return _render_again(_composer(patient_id, text), refused=refused), 422
    _enqueue(message_id)
    where = url_for("communications.show", message_id=message_id)
    return leave_for(where)


@pages.post(f"/communications/<int(max={LARGEST_ID}):message_id>/send-again")
@allow(Permission.SEND, Permission.SEND_TO_OWN)
def again(message_id: int) -> ResponseReturnValue:
    try:
        _enqueue(_send_again(message_id))
    except (CannotGo, Changed) as refused:
        if not _went(message_id):
            return render_message(message_id, refused), 422
    return redirect(url_for("communications.show", message_id=message_id, again=1), 303)


@pages.post(f"/communications/<int(max={LARGEST_ID}):message_id>/take-back")
@allow(Permission.SEND, Permission.SEND_TO_OWN)
def back(message_id: int) -> ResponseReturnValue:
    try:
        take_back(g.practice.id, message_id, writer(), clock.now())
    except TooLate as refused:
        return render_message(message_id, refused), 422
    return redirect(url_for("communications.show", message_id=message_id, again=1), 303)


@pages.post(f"/today/worklist/<int(max={LARGEST_ID}):message_id>/send-again")
@allow(Permission.SEND, Permission.SEND_TO_OWN)
def again_from_worklist(message_id: int) -> ResponseReturnValue:
    try:
        _enqueue(_send_again(message_id))
        refused = bool(g.frame.account_refused)
        when = when_it_goes(g.practice.id, message_id, clock.now(), is_account_refused=refused)
        where = url_for("communications.show", message_id=message_id)
        return worklist_says(_GOES_AGAIN.format(when or "now", where))
    except (CannotGo, Changed) as refusal:
        if not _went(message_id):
            return render_worklist(f"Not sent: {refusal}"), 422
        return worklist_says(_WENT.format(url_for("communications.show", message_id=message_id)))


@pages.post("/today/worklist/send-again")
@allow(Permission.SEND)
def all_again() -> ResponseReturnValue:
    """Those whom the person saw listed. Who is left is named in the answer itself: the session, which the browser
    keeps, holds no patient's name."""
    form = request.form
    seen = list(zip(form.getlist("message", int), form.getlist("state"), strict=False))
    resent = send_all_again(
        g.practice.id, [(id_, state) for id_, state in seen if 0 < id_ <= LARGEST_ID], writer(), clock.now()
    )
    _enqueue(*resent.message_ids)
    said = _in_words(resent)
    if resent.left:
        return render_worklist(said)
    return worklist_says(said)


def _send_again(message_id: int) -> int:
    form = request.form
    return send_again(
        g.practice.id, message_id, form.get("state", ""), bool(form.get("confirm")), writer(), clock.now()
    )


def _enqueue(*message_ids: int) -> None:
    """For when the pause is over; what waits longer, the sweep enqueues."""
    current_app.extensions["portal.enqueue_sends"](g.practice.id, message_ids, clock.now() + PAUSE)


def _went(message_id: int) -> bool:
    """Somebody, or a press before this one, has sent it."""
    with store.reading(g.practice.id) as session:
        message = store.messages.find_message(session, message_id)
    return message is not None and message.status in ON_ITS_WAY | TAKEN


def _in_words(resent: Resent) -> str:
    sent, before, said = len(resent.message_ids), resent.on_their_way, []
    soon = ONCE_ACCOUNT_IS_WELL if g.frame.account_refused else f"in {counted(PAUSE.seconds, 'second')}"
    moments = Counter([soon] * (sent - len(resent.later)) + [f"at {later}" for later in resent.later])
    if sent:
        go = [f"{counted(n, 'text')} {'goes' if n == 1 else 'go'} again {when}" for when, n in moments.items()]
        said.append(f"Done. {listed(go)}.")
    if before:
        way = "is on its way" if before == 1 else "are on their way"
        said.append(f"{counted(before, 'text')} went already, or {way}.")
    left = [f"{plain(name) or 'A patient'}: {plain(why, 200)}" for name, why in resent.left[:_MOST_NAMED]]
    if more := len(resent.left) - len(left):
        left.append(f"{more} more")
    if left:
        said.append(f"{'Not sent:' if said else 'None was sent.'} {'; '.join(left)}.")
    return " ".join(said) or "None was sent."


def _composer(
    patient_id: int, text: str | None = None, template_id: int | None = None, revision: int | None = None
) -> Composer:
    """`revision`: the appointment's that the text speaks of, where that is not the one of now."""
    composer = open_composer(
        g.practice.id,
        patient_id,
        writer(),
        clock.now(),
        template_id=template_id,
        message_id=_row_id("message"),
        appointment_id=_row_id("appointment"),
        text=text,
        revision=revision,
        when=request.form.get("at", ""),
        is_marketing=_is_marketing(),
    )
    key = request.form.get("form_key", "")[:_LONGEST_KEY]
    seen = composer.revision if revision is None else revision
    return replace(composer, form_key=key or composer.form_key, revision=seen)


def _is_marketing() -> bool:
    return request.form.get("purpose") == Purpose.MARKETING


def _render_again(
    composer: Composer, problem: str = "", refused: CannotGo | None = None, problem_field: str = "text"
) -> str:
    """With the same text in it: what it took the place of stays too."""
    return _render(composer, problem, refused, as_typed("former"), as_typed("filled"), problem_field)


def _render(
    composer: Composer,
    problem: str = "",
    refused: CannotGo | None = None,
    former: str = "",
    filled: str = "",
    problem_field: str = "text",
) -> str:
    is_first = request.method == "GET"
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    is_refusing = bool(g.frame.account_refused)
    waiting = list_waiting(g.practice.id, composer.patient_id, clock.now(), is_account_refused=is_refusing)
    return render_template(
        "texts/_composer.html" if is_fragment else "texts/compose.html",
        composer=composer,
        waiting=waiting,
        message_id=_row_id("message"),
        # A reminder that went meanwhile is not another text all of a sudden.
        appointment_id=_row_id("appointment") if composer.is_reminder or not is_first else None,
        filled=composer.text if is_first else filled,
        problem=problem,
        problem_field=problem_field,
        obstacles=refused.explained if refused else composer.stands_in_the_way,
        is_refused=bool(problem or refused),
        is_renewed=request.form.get("do") == "renew",
        former=former,
        sender=composer.sender,
        **cost_of(composer.text, composer.weighed),
    )


def cost_of(text: str, weighed: Weighed) -> dict[str, object]:
    """What `texts/_weighed.html` wants of a text."""
    text = tidy(text)
    return {
        "text": text,
        "weighed": weighed,
        "dearest": _named(weighed.dearest or ""),
        "without_dearest": count_parts_in_gsm(text),
        "most_parts": MOST_PARTS,
    }


def _named(character: str) -> str:
    """`“ç”`; what cannot be seen by its name: `a no-break space`."""
    if not character.isprintable() or character.isspace():
        return f"a {unicodedata.name(character, 'character that cannot be seen').lower()}" if character else ""
    return f"“{character}”"


def as_typed(name: str) -> str:
    """As it was typed: a form sends two characters for each new line."""
    return request.form.get(name, "").replace("\r\n", "\n")


def _row_id(name: str) -> int | None:
    return row_id(request.values.get(name, type=int))
