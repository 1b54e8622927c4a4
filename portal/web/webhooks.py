"""What the provider calls: no page, no session, no form. Its signature is the only key."""

from datetime import UTC, datetime

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from portal import clock, store
from portal.actions.webhooks import LARGEST, NotGenuine, NotSetUp, Trust, Unreadable, take_webhook
from portal.store.provider_events import EventKind
from portal.web.access import ANYONE, allow

pages = Blueprint("webhooks", __name__, url_prefix="/webhooks/vonage")


@pages.post("/status")
@allow(ANYONE)  # whoever has the signature secret
def status() -> Response:
    """What became of a text of ours."""
    return _take(EventKind.STATUS)


@pages.post("/inbound")
@allow(ANYONE)  # whoever has the signature secret
def inbound() -> Response:
    """Somebody's reply."""
    return _take(EventKind.INBOUND)


def _take(kind: EventKind) -> Response:
    """Vonage tries again after 429 and 5xx only, for a day. So 429 is what it gets for a wrong signature, too: while
    a secret is being changed, no receipt and no reply may be lost."""
    settings = current_app.extensions["portal.settings"]
    account = {"api_key": settings.vonage_api_key, "application_id": settings.vonage_application_id}
    if (request.content_length or 0) > LARGEST:
        return _answer("Too large.", 413)
    try:
        raw = request.get_data(cache=False)
        if len(raw) > LARGEST:  # it did not say so before
            raise RequestEntityTooLarge
        authorization = request.headers.get("Authorization", "")
        trust = Trust(settings.vonage_signature_secrets, account, datetime.now(UTC))
        is_new = take_webhook(kind, authorization, raw, trust, clock.now())
    except RequestEntityTooLarge:
        return _answer("Too large.", 413)
    except NotSetUp:
        return _answer("VONAGE_SIGNATURE_SECRET is not set.", 503)
    except NotGenuine:
        return _answer("Not signed as ours.", 429)
    except Unreadable:
        return _answer("Not understood.", 400)
    except store.Unavailable:
        return _answer("Not now.", 503)
    if is_new:
        current_app.extensions["portal.enqueue_events"]()
    return _answer("Taken.", 200)


def _answer(says: str, code: int) -> Response:
    response = Response(f"{says}\n", code, mimetype="text/plain")
    if code in (429, 503):
        response.headers["Retry-After"] = "60"
    return response
