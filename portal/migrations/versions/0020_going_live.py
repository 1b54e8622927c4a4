"""What going live needs: who paused and why, since when a practice is live, and what another system has reminded."""

import sqlalchemy as sa
from alembic import op

from portal.migrations.checks import add_reason, take_reason

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLES = ("messages", "broadcast_recipients")
REASON = "reminded-elsewhere"
AFTER = "sending-off"
# The last time that people used the switch.
LAST = """(SELECT {0} FROM changes WHERE changes.practice_id = practices.id AND changes.field = 'sending'
 ORDER BY changes.id DESC LIMIT 1)"""


def upgrade() -> None:
    op.add_column("practices", sa.Column("sending_changed_by", sa.Text(), nullable=True))
    op.add_column("practices", sa.Column("sending_note", sa.Text(), server_default="", nullable=False))
    op.add_column("practices", sa.Column("live_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("practices", sa.Column("left_out_until", sa.Date(), nullable=True))
    op.add_column("practices", sa.Column("left_out_at", sa.DateTime(timezone=True), nullable=True))
    by = LAST.format('changes."by"')
    op.execute(f"UPDATE practices SET sending_changed_by = {by}")  # noqa: S608
    op.execute(
        "UPDATE practices SET live_since = coalesce(sending_changed_at, created_at) "  # noqa: S608
        f"WHERE sending = 'on' OR (sending = 'paused' AND 'on' = {LAST.format('changes.before')})"
    )
    where = sa.text(f"reasons LIKE '%{REASON};%'")
    op.create_index(
        "ix_messages_reminded_elsewhere",
        "messages",
        ["practice_id", "id"],
        sqlite_where=where,
        postgresql_where=where,
    )
    for table in TABLES:
        add_reason(table, REASON, AFTER)


def downgrade() -> None:
    for table in TABLES:
        take_reason(table, REASON, AFTER)
    op.drop_index("ix_messages_reminded_elsewhere", "messages")
    for name in ("left_out_at", "left_out_until", "live_since", "sending_note", "sending_changed_by"):
        op.drop_column("practices", name)
