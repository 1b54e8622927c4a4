"""What the portal answers by itself: that an opt-out holds, that it is lifted, and who texts."""

from collections.abc import Mapping
from datetime import timedelta
from unicodedata import category

from portal.core.phrases import plain
from portal.core.replies import Meaning
from portal.core.text import count_parts

# Another program may answer us: no number gets more answers than that.
MOST_A_DAY = 3
DAY = timedelta(days=1)
# An answer speaks of now.
KEPT_FOR = timedelta(hours=1)
MOST_PARTS = 3

# A stop and its like have one answer.
ANSWERED: Mapping[Meaning, str] = {
    Meaning.STOP: "stop",
    Meaning.CANCEL: "stop",
    Meaning.START: "start",
    Meaning.HELP: "help",
}


def standard(answer: str, practice: str, contact_number: str) -> str:
    """In the portal's words. `contact_number`: as the practice writes it; may be empty."""
    name = plain(practice)
    call = f" Call us on {plain(contact_number)}." if contact_number.strip() else ""
    return {
        "stop": f"{name}: you will get no more texts from us. Text START to get them again.",
        "start": f"{name}: you will get our texts again. Text STOP to end them.",
        "help": f"{name} texts you about your appointments.{call} Text STOP to end these texts.",
    }[answer]


def problem_with(text: str) -> str:
    """Why a practice's own wording cannot be used, and how to mend it; empty where it can."""
    if any(category(char) in ("Cc", "Cs") and char != "\n" for char in text):
        return "It holds a character that cannot be sent: type it anew."
    if "{{" in text:
        return "Write it out: nothing is filled in for {{ }} here."
    if count_parts(text) > MOST_PARTS:
        return f"It is as long as {count_parts(text)} texts; {MOST_PARTS} are the most: shorten it."
    return ""
