"""The only SQLAlchemy: tables, queries, the ledger, the claim. Importing it knows every table."""

from portal.store import (
    appointments,
    changes,
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
    staff,
)
from portal.store.database import everything, reading, transaction

__all__ = [
    "appointments",
    "changes",
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
    "staff",
    "transaction",
]
