"""What a patient's reply means, where that is clear. Whatever is not is a message for staff to read.

Read by the words alone: letter case, accents and punctuation do not matter, but a question is never a "yes". A stop
or a confirmation read into a text that does not say so is worse than one missed, so both are read only where every
word of the text is known to belong to it. A "no" only puts the reply before staff sooner: there a phrase is enough.

`replies.csv` holds replies as people write them, each with its meaning; the tests hold this file to it.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from importlib import resources
from unicodedata import combining, normalize


class Meaning(StrEnum):
    STOP = "stop"
    CANCEL = "cancel"  # that word alone: phone companies take it for a stop, and patients mean the appointment
    START = "start"
    HELP = "help"
    CONFIRM = "confirm"
    DECLINE = "decline"
    OTHER = "other"

    @property
    def opts_out(self) -> bool:
        return self in (Meaning.STOP, Meaning.CANCEL)

    @property
    def declines(self) -> bool:
        return self in (Meaning.DECLINE, Meaning.CANCEL)


LONGEST = 400  # characters; a longer text is one to read


def read(text: str) -> Meaning:
    """Takes any text."""
    if len(text) > LONGEST:
        return Meaning.OTHER
    words = _words(text)
    if not words:
        return Meaning.CONFIRM if _is_thumb(text) else Meaning.OTHER
    bare = " ".join(words)
    if bare == "cancel":
        return Meaning.CANCEL
    if bare in _HELP:
        return Meaning.HELP
    if _is_made_of(words, _START, _POLITE):
        return Meaning.START
    if bare in _STOP_ALONE or any(_is_made_of(words, (phrase,), also) for phrase, also in _STOP):
        return Meaning.STOP
    if _declines(words):
        return Meaning.DECLINE
    if "?" not in text and not bare.startswith(_ASKS_US) and _is_made_of(words, _CONFIRM, _POLITE_YES):
        return Meaning.CONFIRM
    return Meaning.OTHER


def list_known() -> list[tuple[str, Meaning]]:
    """The table: replies as people write them, and what each means."""
    table = resources.files("portal.core").joinpath("replies.csv").read_text(encoding="utf-8")
    return [(row["reply"], Meaning(row["meaning"])) for row in csv.DictReader(table.splitlines(keepends=True))]


# --- words ------------------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = str.maketrans(dict.fromkeys("'’‘`´"))
_THUMBS = frozenset("👍👌✅")
_BESIDE_THUMBS = re.compile("[\\s\ufe0f\U0001f3fb-\U0001f3ff]+")  # spaces, colours of the skin


def _words(text: str) -> list[str]:
    """In small letters without accents and apostrophes; S T O P, in letters of its own, is a word."""
    plain = normalize("NFKD", text.translate(_APOSTROPHES)).casefold()
    words = _WORD.findall("".join(char for char in plain if not combining(char)))
    return ["".join(words)] if len(words) > 2 and all(len(word) == 1 for word in words) else words


def _is_thumb(text: str) -> bool:
    shown = _BESIDE_THUMBS.sub("", text)
    return bool(shown) and _THUMBS.issuperset(shown)


def _is_made_of(words: Sequence[str], wanted: Iterable[str], also: Iterable[str]) -> bool:
    """Whether the text is nothing but these phrases, at least one of them wanted."""
    phrases = [(phrase.split(), True) for phrase in wanted] + [(phrase.split(), False) for phrase in also]
    reached: set[tuple[int, bool]] = {(0, False)}  # how many words are understood, and whether one was wanted
    for at in range(len(words)):
        for is_wanted in (False, True):
            if (at, is_wanted) in reached:
                reached |= {
                    (at + len(phrase), is_wanted or counts)
                    for phrase, counts in phrases
                    if words[at : at + len(phrase)] == phrase
                }
    return (len(words), True) in reached


def _holds(words: Sequence[str], phrases: Iterable[str]) -> bool:
    text = f" {' '.join(words)} "
    return any(f" {phrase} " in text for phrase in phrases)


def _phrases(lines: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in lines.replace("\n", ",").split(",") if phrase.strip())


# --- stop, start, help --------------------------------------------------------------------------------------

_POLITE = _phrases("please, pls, plz, thanks, thank you, thx, ty, hi, hello, hey, sorry")

# What networks take for a stop, and its like in the languages spoken where practices are.
_STOP_ALONE = frozenset(
    _phrases("""
    stop, stopall, stop all, unsubscribe, un subscribe, optout, opt out, end, quit, revoke
    stopp, arret, arretez, desabonner, abmelden, baja, parar, alto, detener, cancelar suscripcion
    afmelden, uitschrijven
    """)
)
_TEXTS = _phrases("""
    text, texts, texting, text messages, message, messages, messaging, msg, msgs, msging, sms
    texting me, messaging me, msging me, contacting me, texting this number, sending, sending me
    reminders, all, any, the, these, this, it, my, from this list, from these messages, wrong number
""")
_WHEN = _phrases("now, immediately, again, anymore, any more")
_NOUNS = _phrases("texts, text messages, messages, msgs, sms")
_ASKING = _phrases("can you, could you, ok")
# The phrase that says it, and what may stand around it: nothing else.
_STOP: tuple[tuple[str, tuple[str, ...]], ...] = (
    *(
        (phrase, (*_POLITE, *_ASKING, *_TEXTS, *_WHEN, phrase))
        for phrase in ("stop", "stopall", "unsubscribe", "unsubscribe me", "opt out", "opt me out", "optout")
    ),
    *((f"{verb} {noun}", (*_POLITE, *_WHEN)) for verb in ("end", "quit", "no more") for noun in _NOUNS),
    *((f"quit {what}", (*_POLITE, *_WHEN)) for what in ("texting me", "messaging me", "sending me messages")),
    *((f"remove {what}", _POLITE) for what in ("my number", "this number")),
    *(
        (f"{verb} {list_} list", _POLITE)
        for verb in ("remove me from", "take me off")
        for list_ in ("your", "this", "the")
    ),
    *((f"{never} {verb} me", (*_POLITE, *_WHEN)) for never in ("do not", "dont") for verb in ("text", "contact")),
)
_START = _phrases("""
    start, unstop, resume, subscribe, resubscribe, re subscribe, optin, opt in, opt me in, opt me back in
    start again, start texts, start sms, start messages, start texting me, start texting me again
    start sending me texts again, start reminders, start reminders again
""")
_HELP = frozenset(_phrases("help, info, help please, help pls, info please, aide, ayuda, hilfe"))

# --- no -----------------------------------------------------------------------------------------------------

_NO_ALONE = frozenset(
    _phrases("""
    n, no, nope, nah, no thanks, no thank you, no sorry, sorry no, no i cant, no i cannot, no i can not
    decline, declined, not attending, not attending sorry, wont be attending
    """)
)
_COME = _phrases("make it, come, attend, be there, be coming, be attending, make my appointment")
_NO = frozenset(
    (
        *(f"{never} {verb}" for never in ("cant", "cannot", "can not", "wont", "will not") for verb in _COME),
        *(f"{able} {verb}" for able in ("unable to", "not able to", "wont be able to") for verb in _COME),
        *(f"will not be able to {verb}" for verb in _COME),
        *(f"not going to {verb}" for verb in (*_COME, *(f"be able to {verb}" for verb in _COME))),
        *(
            f"{wish} {verb}"
            for wish in ("need to", "have to", "want to", "like to", "can i", "can we", "could i", "could we")
            for verb in ("cancel", "reschedule", "postpone")
        ),
        *(
            f"{verb} {what}"
            for verb in ("cancel", "reschedule", "postpone", "change", "move")
            for what in ("my appointment", "my appt", "the appointment", "this appointment", "appointment", "appt")
        ),
        *_phrases("""
            not coming, cant do, cannot do, please cancel, pls cancel, cancel please, cancel pls, cancel it
            cancel thanks, cancel tomorrow, cancel for tomorrow, cancel both, no cancel, yes cancel, ok cancel
            reschedule please, please reschedule, re schedule, postpone please
            can i change, can i change it, can i move it, change the time, i am not attending, im not attending
            another day, another time, different time, different day
            dont want the appointment, do not want the appointment, dont want this appointment
            do not want this appointment, dont need the appointment, do not need the appointment
            no longer need the appointment, no longer need this appointment
        """),
    )
)
_NO_BUT = frozenset(
    _phrases("""
    dont cancel, do not cancel, not cancel, didnt cancel, dont want to cancel, do not want to cancel
    dont need to cancel, dont have to cancel, did you, not be late, already, last week
    """)
)
_BARE_VERBS = frozenset(_phrases("reschedule, postpone"))


def _declines(words: Sequence[str]) -> bool:
    bare = " ".join(words)
    if bare in _NO_ALONE or bare in _BARE_VERBS:
        return True
    return _holds(words, _NO) and not _holds(words, _NO_BUT)


# --- yes ----------------------------------------------------------------------------------------------------

_CONFIRM = _phrases("""
    y, yes, yep, yup, yeah, yea, ya, ye, yess, yesss, yes please, yes i will, yes i can, yes i do
    ok, okay, o k, okey, okey dokey, okie, k, kk, c, sure, sure thing, absolutely, of course, definitely
    confirm, confirmed, confirming, i confirm, happy to confirm
    i would like to confirm, all confirmed, attending
    will be there, i will be there, ill be there, we will be there, well be there, be there, will see you then
    i will come, ill come, i will attend, ill attend, i will be attending, i am attending, im attending
    coming, i am coming, im coming, i can make it, i can come
    see you then, see you there, see you tomorrow, see u then, see u there, see u tomorrow, see ya then, see ya there
    see ya tomorrow, c u then, c u there, c u tomorrow, cu then, cu tomorrow, cu tmrw, see you tmrw
""")
# To confirm may be asked of us.
_ASKS_US = _phrases("please confirm, pls confirm, plz confirm")
# What people say along with a yes, and is none by itself.
_POLITE_YES = (
    *_POLITE,
    *_phrases("""
    thank you so much, thanks so much, thank you very much, thankyou, many thanks, cheers, ta, x, xx
    good morning, good afternoon, good evening, great, perfect, cool, noted, will do, no worries, no problem
    all good, thats fine, that is fine, thats great, that works, thats correct, for sure, looking forward to it
    my appointment, my appt, the appointment, appointment, appt, have a good day
"""),
)
