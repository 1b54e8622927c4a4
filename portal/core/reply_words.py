"""Replies in words for staff: what each was read as, and what it did."""

from collections.abc import Mapping

from portal.core.phrases import plain
from portal.core.replies import Meaning

# As a reply is labelled, beside its text.
READ_AS: Mapping[Meaning, str] = {
    Meaning.STOP: "Wants no more texts",
    Meaning.CANCEL: "Cannot come, and wants no more texts",
    Meaning.START: "Wants texts again",
    Meaning.HELP: "Asks who texts",
    Meaning.CONFIRM: "Says yes",
    Meaning.DECLINE: "Cannot come",
    Meaning.OTHER: "",
}

# What it did, as an event of its message.
EVENTS: Mapping[str, str] = {
    "received": "It came in",
    "opted-out": "Read as STOP: no text goes to this number any more",
    "opted-out-already": "Read as STOP: this number had opted out before",
    "start-came-later": "Read as STOP: it was sent before a START, which holds",
    "opt-out-lifted": "Read as START: this number gets texts again",
    "no-opt-out": "Read as START: nothing that this number had stopped stood in the way",
    "confirmed": "Read as a yes: the appointment is confirmed",
    "declined-later": "Read as a yes: a later reply says otherwise, which holds",
    "answers-staff": "Says yes after a later text by staff: nothing is confirmed by that, it waits for you",
    "declined": "Read as a no: nothing is cancelled by that, it waits for you under “To deal with”",
    "no-appointment": "Read as an answer to a reminder: there is none of an appointment still ahead",
    "answered": "Answered by the portal",
    "answer-held-back": "The portal's answer was held back: its own message says why",
    "not-answered": "Not answered: this number had the day's answers already",
}


def event(name: str, detail: str) -> str:
    """An event of a reply, or one that staff made of it; empty for any other. `detail`: who of the staff."""
    if name == "given-to":
        return f"{plain(detail) or 'Somebody'} said whose it is"
    return EVENTS.get(name, "")
