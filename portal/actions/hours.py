"""When texts by staff go, and when undelivered ones are an alarm: set by the practice."""

from datetime import datetime

from portal import store
from portal.actions.asking import SettingRefused
from portal.actions.who import COMMAND_LINE, Who, note_change
from portal.core.phrases import hours_in_words
from portal.store.changes import ALARM_SHARE, TEXT_HOURS, Subject

EARLIEST = range(0, 13)
LATEST = range(13, 25)
SHARES = range(1, 101)


def set_text_hours(practice_id: str, begin: int, end: int, now: datetime, who: Who = COMMAND_LINE) -> None:
    """Local full hours, 24 for midnight. Raises SettingRefused, NoSuchPractice."""
    if begin not in EARLIEST or end not in LATEST:
        raise SettingRefused("Choose a first hour until noon, and a last one after it.", "begin")
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        before = hours_in_words(practice.texts_from, practice.texts_until)
        practice.texts_from, practice.texts_until = begin, end
        after = hours_in_words(begin, end)
        note_change(session, who, now, Subject.PRACTICE, None, TEXT_HOURS, before, after)
        session.flush()


def set_alarm_share(practice_id: str, share: int, now: datetime, who: Who = COMMAND_LINE) -> None:
    """Per cent. Raises SettingRefused, NoSuchPractice."""
    if share not in SHARES:
        raise SettingRefused("Choose a whole number from 1 to 100.", "share")
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        before, practice.alarm_share = practice.alarm_share, share
        note_change(session, who, now, Subject.PRACTICE, None, ALARM_SHARE, f"{before}%", f"{share}%")
        session.flush()
