"""A stand-in for the provider's Messages API: strict as Vonage, with faults and receipts on demand.

    POST   /v1/messages          as Vonage
    GET    /account/get-balance  as Vonage
    GET    /v2/reports/records   as Vonage: what was taken, how it ended, and the replies
    PUT    /simulator/plan       a list of rules (see Rule): what to answer, to which numbers, how often
    GET    /simulator/messages   what was taken, in order; ?since=N: after the message with number N
    DELETE /simulator/messages   forget what was taken and counted
    GET    /simulator/counts     requests, accepted, by status or fault, the most within any one second
    GET    /simulator/outcomes   how the messages ended, and how many replies there were
    POST   /simulator/receipts   {"message_uuid", "status", "code"?}: sends the status webhook now
    POST   /simulator/replies    {"from", "to", "text"}: somebody writes to one of our numbers

It listens on loopback only, sends receipts to loopback only, and prints nothing.
"""

from portal.sms.simulator.plan import PlanError
from portal.sms.simulator.provider import SIGNATURE_SECRET, Options, Taken
from portal.sms.simulator.receipts import ReceiptError
from portal.sms.simulator.server import Simulator, serve

__all__ = ["SIGNATURE_SECRET", "Options", "PlanError", "ReceiptError", "Simulator", "Taken", "serve"]
