"""The only SQLAlchemy: tables, queries, the ledger, the claim. Importing it knows every table."""

from portal.store import (
    appointments,
    communications,
    credits,
    diagnosis,
    facts,
    health,
    host,
    imports,
    messages,
    passes,
    patients,
    practices,
    revision,
)
from portal.store.database import Unavailable, everything, reading, transaction

__all__ = [
    "Unavailable",
    "appointments",
    "communications",
    "credits",
    "diagnosis",
    "everything",
    "facts",
    "health",
    "host",
    "imports",
    "messages",
    "passes",
    "patients",
    "practices",
    "reading",
    "revision",
    "transaction",
]
