"""A reply as the practice has it mailed: without anything of the patient, unless it asked for that."""

from dataclasses import dataclass

from portal import store
from portal.core.numbers import as_people_say
from portal.core.phrases import clock_time, plain
from portal.core.timing import local


@dataclass(frozen=True, slots=True)
class Letter:
    to: str
    subject: str
    text: str


def write_letter(practice_id: str, message_id: int, portal: str | None) -> Letter | None:
    """`portal`: its address, where it has one. None where the practice wants no mail, or the reply is not there."""
    with store.reading(practice_id) as session:
        settings = store.replies.find_settings(session)
        row = store.inbox.find_reply(session, message_id)
        practice = store.practices.get_practice(session, practice_id)
    if settings is None or settings.forward_to is None or row is None:
        return None
    where = f"{portal.rstrip('/')}/replies" if portal else "the portal, under Replies"
    if not settings.in_full:
        text = f"A reply to a text of {plain(practice.name)} has come.\n\nRead it in {where}\n"
        return Letter(settings.forward_to, "A reply has come", text)
    wall = local(row.reply.at, row.timezone) if row.timezone else row.reply.at
    number = as_people_say(row.reply.number, practice.country)
    who = f"{plain(row.full_name)} ({number})" if row.full_name else number
    says = f"{who} wrote at {clock_time(wall)}:\n\n{row.message.body}\n\n"
    return Letter(
        settings.forward_to,
        "A reply has come",
        f"{says}Answer in {where}\nAn answer to this mail does not reach the patient.\n",
    )
