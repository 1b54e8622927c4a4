"""An SMS template among the practice's appointment types, which use it."""

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from portal.store.practices import AppointmentType, SmsTemplate


def find_with_types(session: Session, template_id: int) -> tuple[SmsTemplate, list[AppointmentType]] | None:
    """And every type of the practice, by name; in one query."""
    rows = session.execute(_WITH_TYPES, {"template": template_id}).all()
    return (rows[0][0], [type_ for _, type_ in rows if type_]) if rows else None


_WITH_TYPES = (
    select(SmsTemplate, AppointmentType)
    .join(AppointmentType, AppointmentType.practice_id == SmsTemplate.practice_id, isouter=True)
    .where(SmsTemplate.id == bindparam("template"))
    .order_by(AppointmentType.name, AppointmentType.id)
)


def list_other_names(
    session: Session, model: type[SmsTemplate] | type[AppointmentType], id_: int | None
) -> list[str]:
    """Of the practice's templates or types, but for that one's."""
    return [name for other, name in session.execute(select(model.id, model.name)) if other != id_]
