"""Column types that both databases hold alike."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Dialect, Enum, Integer, Text
from sqlalchemy.types import TypeDecorator

from portal.core.reasons import DIAGNOSIS_ONLY, Reason

# SQLite counts up only in a column called INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant; kept in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant without its offset")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def words(enum: type[StrEnum]) -> Enum:
    """A column that holds one of the enumeration's values, in words, and nothing else."""
    return Enum(
        enum,
        native_enum=False,
        create_constraint=True,
        length=None,
        name=enum.__name__.lower(),
        values_callable=lambda members: [member.value for member in members],
    )


class Reasons(TypeDecorator[tuple[Reason, ...]]):
    """Coded reasons in their order, each followed by a semicolon: `no-template;prefers-none;`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Iterable[Reason] | None, dialect: Dialect) -> str | None:
        return None if value is None else "".join([f"{reason.value};" for reason in value])

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[Reason, ...]:
        if not value:
            return ()
        return _parsed(value)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        return self if isinstance(value, tuple) else Text()


_known: dict[str, tuple[Reason, ...]] = {}


def _parsed(value: str) -> tuple[Reason, ...]:
    if value not in _known:
        _known[value] = tuple(Reason(code) for code in value.rstrip(";").split(";"))
    return _known[value]


def only_known_reasons(column: str) -> CheckConstraint:
    """Nothing is left of the column once every known code is taken out."""
    left = column
    for reason in Reason:
        if reason not in DIAGNOSIS_ONLY:
            left = f"replace({left}, '{reason.value};', '')"
    return CheckConstraint(f"{left} = ''", name="known_reasons")
