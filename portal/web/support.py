"""What support wants to know of a message, to be copied: ids, codes and times in UTC, nothing of the patient unless
that is asked for."""

from collections.abc import Iterator
from datetime import UTC, datetime

from portal.actions.show_message import Shown


def for_support(practice_id: str, shown: Shown, *, with_text: bool) -> str:
    """Lines of `name: value`. `with_text`: the number and the text too."""
    return "\n".join(_lines(practice_id, shown, with_text))


def _lines(practice_id: str, shown: Shown, with_text: bool) -> Iterator[str]:
    message = shown.entry.message
    yield f"Message: {message.id}"
    yield f"Practice: {practice_id}"
    yield f"Kind: {message.kind}"
    yield f"Status: {message.status}"
    yield f"Reasons: {', '.join(message.reasons) or 'none'}"
    yield f"Provider's id: {message.provider_id or 'none'}"
    yield f"Provider's code: {message.provider_code or 'none'}"
    yield f"Attempts: {message.attempts}"
    yield f"Parts: {message.segments or 'none'}, credits taken: {message.charged}"
    for name, at in (
        ("Created", message.created_at),
        ("Decided", message.pass_at),
        ("To be sent by", message.deadline_at),
        ("Sent", message.sent_at),
    ):
        if at:
            yield f"{name}: {_utc(at)}"
    for step in shown.steps:
        yield f"{_utc(step.at)} {step.code}"
    if with_text:
        yield f"To: {message.to or 'nobody'}"
        yield f"Text: {message.body or 'none'}"


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
