"""What the columns of the communications log say."""

from collections.abc import Mapping

from portal.core.states import Direction, Kind

KINDS: Mapping[Kind, str] = {
    Kind.REMINDER: "Reminder",
    Kind.MANUAL: "Written by staff",
    Kind.REPLY: "Reply",
    Kind.AUTO_REPLY: "Automatic answer",
    Kind.TEST: "Test text",
}
DIRECTIONS: Mapping[Direction, str] = {
    Direction.OUTBOUND: "To patients",
    Direction.INBOUND: "From patients",
}
