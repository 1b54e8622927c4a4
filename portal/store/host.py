"""What the whole host shares: one row a name, no practice's data."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.store.database import Model, insert_ignoring, table_of
from portal.store.types import UtcDateTime

ACCOUNT_REFUSED = "account-refused"  # {code, since, probe_at}: the provider refuses our account
ACCOUNT_REPORTED = "account-reported"  # {code, since, at}: receipts name a fault of our account
STALE_WEBHOOK = "stale-webhook"  # {at}: the last that was signed by the provider, and came too late to be taken
POLLED_REPLIES = "polled-replies"  # {until}: replies are known from the provider's records up to then
ZONE_RULES = "zone-rules"  # {version}: of the time zones that the stored instants follow


class HostState(Model):
    __tablename__ = "host_state"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


def find_state(session: Session, name: str) -> dict[str, Any] | None:
    return session.scalar(select(HostState.value).where(HostState.name == name))


def record_state(session: Session, name: str, value: dict[str, Any] | None, now: datetime) -> None:
    session.execute(insert_ignoring(session, table_of(HostState)), {"name": name, "value": None, "changed_at": now})
    row = session.scalars(select(HostState).where(HostState.name == name).with_for_update()).one()
    row.value = value
    row.changed_at = now
    session.flush()
