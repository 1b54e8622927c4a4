"""A setting that cannot be as asked, or that is not changed before somebody has read what the change would do."""

from collections.abc import Sequence

from portal.actions.sending import NotConfirmed
from portal.core.phrases import plain

LONGEST_NAME = 200  # characters


class SettingRefused(ValueError):
    """It cannot be set so; the text says how it can. `field`: of a form, where it is to be mended."""

    def __init__(self, says: str, field: str = "") -> None:
        super().__init__(says)
        self.field = field


class Asked(NotConfirmed):
    """`effects`: what the change would do, a sentence each. `yes`: what is to be ticked."""

    def __init__(self, effects: Sequence[str], yes: str) -> None:
        super().__init__("Nothing is changed yet: read what it would do, and tick that it is to be so.")
        self.effects = tuple(effects)
        self.yes = yes


def read_name(typed: str, missing: str | None, field: str = "name") -> str:
    """One line, without what cannot be seen. `missing`: what is said where it is empty; None: it may be. Raises
    SettingRefused."""
    name = plain(typed, LONGEST_NAME + 1)
    if not name and missing:
        raise SettingRefused(missing, field)
    if len(name) > LONGEST_NAME:
        raise SettingRefused(f"A name has at most {LONGEST_NAME} characters.", field)
    return name
