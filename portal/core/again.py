"""Texts that staff send: the events that tell of it, and words for one that went already, or may have."""

from portal.core.states import Status

# Their detail is who did it.
QUEUED_BY_STAFF = "queued-by-staff"
SENT_AGAIN_BY_STAFF = "sent-again-by-staff"
TAKEN_BACK_BY_STAFF = "taken-back-by-staff"
BY_STAFF = frozenset({QUEUED_BY_STAFF, SENT_AGAIN_BY_STAFF, TAKEN_BACK_BY_STAFF})
# It waits for its time. Its detail: until when, by the clocks of the patient's business.
PUT_OFF = "put-off"
# Sent again by staff, and stopped: the patient may still have it from the attempt before. Its detail: why.
STILL_IN_DOUBT = "still-in-doubt"

TAKEN = frozenset({Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.UNCONFIRMED})


def went_already(status: Status, name: str, when: str) -> str:
    """`status`: one of TAKEN. `when`: today at 10am."""
    if status is Status.UNDELIVERED:
        return f"It was sent {when} and reported as not delivered. If that is wrong, {name} gets it twice."
    return f"It was sent {when}: {name} may get it twice."


def in_doubt(name: str) -> str:
    return f"{name} may have got it already: the provider gave no clear answer."
