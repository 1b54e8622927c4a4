"""Messages with their history, and the ledger of credits."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Each entry moves the balance with it; no message takes it below zero; history stands.
TRIGGERS = {
    "sqlite": (
        """
CREATE TRIGGER credit_entries_move_balance AFTER INSERT ON credit_entries BEGIN
  UPDATE practices SET credits = credits + NEW.amount WHERE id = NEW.practice_id;
  SELECT RAISE(ABORT, 'a message would take the balance below zero')
    FROM practices WHERE id = NEW.practice_id AND NEW.kind = 'message' AND credits < 0;
END""",
        """
CREATE TRIGGER credit_entries_stand_update BEFORE UPDATE ON credit_entries BEGIN
  SELECT RAISE(ABORT, 'the ledger is never changed');
END""",
        """
CREATE TRIGGER credit_entries_stand_delete BEFORE DELETE ON credit_entries BEGIN
  SELECT RAISE(ABORT, 'the ledger is never changed');
END""",
    ),
    "postgresql": (
        """
CREATE FUNCTION credit_entries_move_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE balance integer;
BEGIN
  UPDATE practices SET credits = credits + NEW.amount WHERE id = NEW.practice_id RETURNING credits INTO balance;
  IF NEW.kind = 'message' AND balance < 0 THEN
    RAISE EXCEPTION 'a message would take the balance below zero' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$""",
        """
CREATE TRIGGER credit_entries_move_balance AFTER INSERT ON credit_entries
  FOR EACH ROW EXECUTE FUNCTION credit_entries_move_balance()""",
        """
CREATE FUNCTION credit_entries_stand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is never changed' USING ERRCODE = 'check_violation';
END $$""",
        """
CREATE TRIGGER credit_entries_stand BEFORE UPDATE OR DELETE ON credit_entries
  FOR EACH ROW EXECUTE FUNCTION credit_entries_stand()""",
    ),
}


def upgrade() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column(
            "direction",
            sa.Enum("outbound", "inbound", name="direction", native_enum=False, create_constraint=True, length=None),
            nullable=False,
        ),
        sa.Column(
            "kind",
            sa.Enum(
                "reminder",
                "manual",
                "reply",
                "auto-reply",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=None,
            ),
            nullable=False,
        ),
        sa.Column("business_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("appointment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "queued",
                "sending",
                "sent",
                "delivered",
                "undelivered",
                "unconfirmed",
                "not-sent",
                "failed",
                "cancelled",
                "expired",
                "unknown",
                "received",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=None,
            ),
            nullable=False,
        ),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("to_number", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("segments", sa.Integer(), nullable=True),
        sa.Column("charged", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pass_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("enqueued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("provider_code", sa.Text(), nullable=True),
        sa.Column("refused", sa.Text(), nullable=True),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind <> 'reminder' OR (appointment_id IS NOT NULL AND revision IS NOT NULL AND rule IS NOT NULL)",
            name=op.f("ck_messages_reminder_of_an_appointment"),
        ),
        sa.CheckConstraint(
            "kind <> 'reminder' OR status <> 'not-sent' OR (to_number IS NULL AND body IS NULL AND segments IS NULL)",
            name=op.f("ck_messages_not_sent_has_no_text"),
        ),
        sa.CheckConstraint(
            "replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(reasons, 'sending-off;', ''), 'business-reminders-off;', ''), 'no-template;', ''), 'no-mobile-number;', ''), 'invalid-mobile-number;', ''), 'prefers-email;', ''), 'prefers-none;', ''), 'opted-out;', ''), 'patient-archived;', ''), 'no-credits;', ''), 'no-pass-ran;', ''), 'withdrawn;', ''), 'deadline-passed;', ''), 'provider-refused;', ''), 'provider-account;', '') = ''",
            name=op.f("ck_messages_known_reasons"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('not-sent', 'failed', 'cancelled', 'expired') OR (reasons <> '' AND charged = 0)",
            name=op.f("ck_messages_stopped_has_a_reason_and_its_credits_back"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('queued', 'sending', 'sent', 'delivered', 'undelivered', 'unconfirmed', 'unknown') OR (to_number IS NOT NULL AND body IS NOT NULL AND segments IS NOT NULL)",
            name=op.f("ck_messages_sent_has_text"),
        ),
        sa.CheckConstraint("charged >= 0", name=op.f("ck_messages_charged")),
        sa.ForeignKeyConstraint(
            ["practice_id", "appointment_id"],
            ["appointments.practice_id", "appointments.id"],
            name=op.f("fk_messages_practice_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["practice_id", "business_id"],
            ["businesses.practice_id", "businesses.id"],
            name=op.f("fk_messages_practice_id_business_id"),
        ),
        sa.ForeignKeyConstraint(
            ["practice_id", "patient_id"],
            ["patients.practice_id", "patients.id"],
            name=op.f("fk_messages_practice_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_messages_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("appointment_id", "revision", "rule", name="uq_messages_one_reminder"),
        sa.UniqueConstraint("practice_id", "id", name=op.f("uq_messages_practice_id_id")),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index("ix_messages_log", ["practice_id", "id"], unique=False)
        batch_op.create_index("ix_messages_appointment", ["practice_id", "appointment_id", "id"], unique=False)
        batch_op.create_index("ix_messages_patient", ["practice_id", "patient_id", "id"], unique=False)
        batch_op.create_index("ix_messages_provider_id", ["provider_id"], unique=False)
        batch_op.create_index(
            "ix_messages_queued",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("status = 'queued'"),
            postgresql_where=sa.text("status = 'queued'"),
        )
        batch_op.create_index(
            "ix_messages_queued_deadline",
            ["deadline_at"],
            unique=False,
            sqlite_where=sa.text("status = 'queued'"),
            postgresql_where=sa.text("status = 'queued'"),
        )
        batch_op.create_index(
            "ix_messages_sending",
            ["claimed_at"],
            unique=False,
            sqlite_where=sa.text("status = 'sending'"),
            postgresql_where=sa.text("status = 'sending'"),
        )
        batch_op.create_index(
            "ix_messages_sent",
            ["sent_at"],
            unique=False,
            sqlite_where=sa.text("status = 'sent'"),
            postgresql_where=sa.text("status = 'sent'"),
        )
        batch_op.create_index("ix_messages_status", ["practice_id", "status", "id"], unique=False)
        batch_op.create_index(
            "ix_messages_unknown",
            ["claimed_at"],
            unique=False,
            sqlite_where=sa.text("status = 'unknown'"),
            postgresql_where=sa.text("status = 'unknown'"),
        )

    op.create_table(
        "credit_entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "opening",
                "top-up",
                "correction",
                "message",
                "refund",
                name="entrykind",
                native_enum=False,
                create_constraint=True,
                length=None,
            ),
            nullable=False,
        ),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'message' AND amount < 0 AND message_id IS NOT NULL) OR (kind = 'refund' AND amount > 0 AND message_id IS NOT NULL) OR (kind = 'top-up' AND amount > 0) OR kind IN ('opening', 'correction')",
            name=op.f("ck_credit_entries_sign"),
        ),
        sa.ForeignKeyConstraint(
            ["practice_id", "message_id"],
            ["messages.practice_id", "messages.id"],
            name=op.f("fk_credit_entries_practice_id_message_id"),
        ),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_credit_entries_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_entries")),
    )
    with op.batch_alter_table("credit_entries", schema=None) as batch_op:
        batch_op.create_index("ix_credit_entries_ledger", ["practice_id", "id"], unique=False)
        batch_op.create_index("ix_credit_entries_message", ["practice_id", "message_id"], unique=False)

    op.create_table(
        "message_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["practice_id", "message_id"],
            ["messages.practice_id", "messages.id"],
            name=op.f("fk_message_events_practice_id_message_id"),
        ),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_message_events_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_events")),
    )
    with op.batch_alter_table("message_events", schema=None) as batch_op:
        batch_op.create_index("ix_message_events_message", ["practice_id", "message_id", "id"], unique=False)

    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("message_events")
    op.drop_table("credit_entries")
    op.drop_table("messages")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION credit_entries_move_balance")
        op.execute("DROP FUNCTION credit_entries_stand")

