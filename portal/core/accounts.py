"""What an address to sign in with, a name and a password must be."""

import unicodedata
from itertools import pairwise

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200
LONGEST_ADDRESS = 254  # RFC 5321
LONGEST_NAME = 100

# What people type when they are asked for twelve characters. Whole passwords of leaked lists are made of these,
# with digits and signs around them.
_COMMON = (
    *("password", "passwort", "letmein", "welcome", "iloveyou", "admin", "administrator", "login", "secret"),
    *("changeme", "default", "master", "dragon", "monkey", "football", "baseball", "sunshine", "princess"),
    *("superman", "batman", "trustno", "starwars", "shadow", "michael", "jennifer", "jordan", "charlie"),
    *("clinic", "reception", "receptionist", "physio", "physiotherapy", "practice", "doctor", "patient"),
    *("reminder", "reminders", "portal", "owner", "practitioner", "sysadmin", "summer", "winter", "spring"),
    *("autumn", "hello", "test", "testing", "qwerty", "qwertz", "azerty", "asdf", "zxcv", "user", "guest"),
    *("the", "my", "is", "and", "sms"),
)
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "azertyuiop",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn",
)
_LOOKALIKES = str.maketrans("0134578@$!", "oieastbasi")
_FEWEST_LEFT = 5  # letters and digits that nobody guesses


def find_address(typed: str) -> str | None:
    """The address in small letters; None where it can be none. Whether mail arrives there is not asked."""
    address = unicodedata.normalize("NFKC", typed.strip()).lower()
    local, _, domain = address.rpartition("@")
    is_clean = address.isprintable() and not any(char.isspace() or char in '<>"(),;:\\' for char in address)
    if not is_clean or "@" in local or not local or not domain.strip(".") or len(address) > LONGEST_ADDRESS:
        return None
    return None if domain.startswith(".") or domain.endswith(".") or ".." in domain else address


def find_name(typed: str) -> str | None:
    """The name in one line; None where there is none or it is too long."""
    printable = "".join(char if char.isprintable() else " " for char in unicodedata.normalize("NFC", typed))
    name = " ".join(printable.split())
    return name if 0 < len(name) <= LONGEST_NAME else None


def password_problem(password: str, *about: str) -> str | None:
    """Why the password is too weak, in words; None where it will do. `about`: the person's name and address."""
    if len(password) < SHORTEST_PASSWORD:
        return (
            f"Use at least {SHORTEST_PASSWORD} characters. Three or four words that do not belong together are good."
        )
    if len(password) > LONGEST_PASSWORD:
        return f"Use at most {LONGEST_PASSWORD} characters."
    left = password.casefold()
    for word in _words_about(about):
        left = left.replace(word, "")
    if len(_without_common(left)) < _FEWEST_LEFT:
        return "This password is easy to guess. Three or four words that do not belong together are good."
    return None


def _words_about(about: tuple[str, ...]) -> list[str]:
    words = {word for text in about for word in text.casefold().replace("@", " ").replace(".", " ").split()}
    return sorted((word for word in words if len(word) >= 3), key=len, reverse=True)


def _without_common(left: str) -> str:
    """What is left of a password without common words, rows of keys, repetitions and the digits at its end."""
    left = "".join(char for char in left if char.isalnum() or char in "@$!")
    read = left.rstrip("0123456789!").translate(_LOOKALIKES)
    for word in sorted(_COMMON, key=len, reverse=True):
        read = read.replace(word, "")
    kept = left if len(read) >= len(left) else read
    return "".join({char for before, char in pairwise(f" {kept}") if not _goes_on(before, char)})


def _goes_on(before: str, char: str) -> bool:
    """Whether the character repeats the one before it, or is its neighbour in a row of keys."""
    return before == char or any(pair in run for run in _RUNS for pair in (before + char, char + before))
