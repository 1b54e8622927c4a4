"""The design that comes to mind first: one RQ job a message, run by RQ's own worker pool."""

import sys

from rq.serializers import JSONSerializer
from rq.worker_pool import WorkerPool

from portal import clock, store
from portal.config import load_settings
from portal.core.states import Status
from portal.jobs import gateway, worker_app
from portal.queue import connect
from portal.sms.answers import Accepted
from portal.sms.gateway import Outgoing

QUEUE = "naive"


def send_one(practice_id: str, message_id: int) -> None:
    with worker_app().app_context():
        with store.reading(practice_id) as session:
            message = store.messages.find_message(session, message_id)
        assert message is not None
        sender = gateway(worker_app().extensions["portal.settings"])
        outgoing = Outgoing(message_id, message.to or "", message.sender or "", message.body or "", str(message_id))
        outcome = sender.send(sender.prepare(outgoing), 3600)
        assert isinstance(outcome, Accepted)
        sent = {"status": Status.SENT, "sent_at": clock.now(), "provider_id": outcome.provider_id}
        with store.transaction(practice_id) as session:
            store.messages.update_messages(session, [{"id": message_id, "practice_id": practice_id} | sent])


def main(workers: int) -> None:
    # Everything is imported before the workers fork.
    pool = WorkerPool([QUEUE], connection=connect(load_settings()), num_workers=workers, serializer=JSONSerializer)
    pool.start(logging_level="WARNING")


if __name__ == "__main__":
    main(int(sys.argv[1]))
