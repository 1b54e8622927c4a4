"""Practices, their settings, patients and appointments."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "host_state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_host_state")),
    )
    op.create_table(
        "practices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("also_sends_to", sa.Text(), nullable=False),
        sa.Column(
            "default_preference",
            sa.Enum(
                "None",
                "SMS",
                "Email",
                "SMS & Email",
                name="preference",
                native_enum=False,
                create_constraint=True,
                length=None,
            ),
            nullable=False,
        ),
        sa.Column("lead_days", sa.Integer(), nullable=False),
        sa.Column("window_start", sa.Integer(), nullable=False),
        sa.Column(
            "sending",
            sa.Enum(
                "on", "paused", "rehearsal", name="sending", native_enum=False, create_constraint=True, length=None
            ),
            nullable=False,
        ),
        sa.Column("sending_changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("credits", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("staff_changed", sa.JSON(none_as_null=True), nullable=True),
        sa.CheckConstraint("lead_days BETWEEN 1 AND 14", name=op.f("ck_practices_lead_days")),
        sa.CheckConstraint("window_start BETWEEN 6 AND 15", name=op.f("ck_practices_window_start")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practices")),
    )
    with op.batch_alter_table("practices", schema=None) as batch_op:
        batch_op.create_index(
            "uq_practices_numeric_sender",
            ["sender"],
            unique=True,
            sqlite_where=sa.text("sender LIKE '+%'"),
            postgresql_where=sa.text("sender LIKE '+%'"),
        )

    op.create_table(
        "businesses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("contact_number", sa.Text(), nullable=False),
        sa.Column("sms_reminders", sa.Boolean(), nullable=False),
        sa.Column("watched_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accounted_until", sa.Date(), nullable=True),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.Column("staff_changed", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_businesses_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_businesses")),
        sa.UniqueConstraint("practice_id", "external_id", name=op.f("uq_businesses_practice_id_external_id")),
        sa.UniqueConstraint("practice_id", "id", name=op.f("uq_businesses_practice_id_id")),
    )
    op.create_table(
        "import_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("conflicts", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_import_runs_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_runs")),
    )
    with op.batch_alter_table("import_runs", schema=None) as batch_op:
        batch_op.create_index("ix_import_runs_practice", ["practice_id", "id"], unique=False)

    op.create_table(
        "passes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("considered", sa.Integer(), nullable=False),
        sa.Column("queued", sa.Integer(), nullable=False),
        sa.Column("not_sent", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_passes_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passes")),
        sa.UniqueConstraint("practice_id", "id", name=op.f("uq_passes_practice_id_id")),
    )
    with op.batch_alter_table("passes", schema=None) as batch_op:
        batch_op.create_index("ix_passes_practice", ["practice_id", "id"], unique=False)

    op.create_table(
        "patients",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("date_of_birth", sa.Date(), nullable=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column(
            "preference",
            sa.Enum(
                "None",
                "SMS",
                "Email",
                "SMS & Email",
                name="preference",
                native_enum=False,
                create_constraint=True,
                length=None,
            ),
            nullable=True,
        ),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.Column("staff_changed", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_patients_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patients")),
        sa.UniqueConstraint("practice_id", "external_id", name=op.f("uq_patients_practice_id_external_id")),
        sa.UniqueConstraint("practice_id", "id", name=op.f("uq_patients_practice_id_id")),
    )
    op.create_table(
        "practitioners",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.Column("staff_changed", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_practitioners_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practitioners")),
        sa.UniqueConstraint("practice_id", "external_id", name=op.f("uq_practitioners_practice_id_external_id")),
        sa.UniqueConstraint("practice_id", "id", name=op.f("uq_practitioners_practice_id_id")),
    )
    op.create_table(
        "sms_templates",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.Column("staff_changed", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_sms_templates_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sms_templates")),
        sa.UniqueConstraint("practice_id", "external_id", name=op.f("uq_sms_templates_practice_id_external_id")),
        sa.UniqueConstraint("practice_id", "id", name=op.f("uq_sms_templates_practice_id_id")),
    )
    op.create_table(
        "appointment_types",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("duration_minutes", sa.Integer(), nullable=False),
        sa.Column("reminder_template_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.Column("staff_changed", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["practice_id", "reminder_template_id"],
            ["sms_templates.practice_id", "sms_templates.id"],
            name=op.f("fk_appointment_types_practice_id_reminder_template_id"),
        ),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_appointment_types_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment_types")),
        sa.UniqueConstraint("practice_id", "external_id", name=op.f("uq_appointment_types_practice_id_external_id")),
        sa.UniqueConstraint("practice_id", "id", name=op.f("uq_appointment_types_practice_id_id")),
    )
    with op.batch_alter_table("appointment_types", schema=None) as batch_op:
        batch_op.create_index("ix_appointment_types_template", ["practice_id", "reminder_template_id"], unique=False)

    op.create_table(
        "handled_hours",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("business_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("local_date", sa.Date(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("pass_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["practice_id", "business_id"],
            ["businesses.practice_id", "businesses.id"],
            name=op.f("fk_handled_hours_practice_id_business_id"),
        ),
        sa.ForeignKeyConstraint(
            ["practice_id", "pass_id"],
            ["passes.practice_id", "passes.id"],
            name=op.f("fk_handled_hours_practice_id_pass_id"),
        ),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_handled_hours_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handled_hours")),
        sa.UniqueConstraint(
            "business_id", "local_date", "hour", name=op.f("uq_handled_hours_business_id_local_date_hour")
        ),
    )
    with op.batch_alter_table("handled_hours", schema=None) as batch_op:
        batch_op.create_index("ix_handled_hours_local_date", ["local_date"], unique=False)
        batch_op.create_index("ix_handled_hours_pass", ["practice_id", "pass_id"], unique=False)

    op.create_table(
        "missed_days",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("business_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("local_date", sa.Date(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("appointments", sa.Integer(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["practice_id", "business_id"],
            ["businesses.practice_id", "businesses.id"],
            name=op.f("fk_missed_days_practice_id_business_id"),
        ),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_missed_days_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_missed_days")),
        sa.UniqueConstraint("business_id", "local_date", name=op.f("uq_missed_days_business_id_local_date")),
    )
    with op.batch_alter_table("missed_days", schema=None) as batch_op:
        batch_op.create_index("ix_missed_days_practice", ["practice_id", "id"], unique=False)

    op.create_table(
        "opt_outs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column(
            "source",
            sa.Enum(
                "reply",
                "carrier",
                "staff",
                name="optoutsource",
                native_enum=False,
                create_constraint=True,
                length=None,
            ),
            nullable=False,
        ),
        sa.Column("e164", sa.Text(), nullable=True),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.CheckConstraint("(e164 IS NULL) <> (patient_id IS NULL)", name=op.f("ck_opt_outs_number_or_patient")),
        sa.ForeignKeyConstraint(
            ["practice_id", "patient_id"],
            ["patients.practice_id", "patients.id"],
            name=op.f("fk_opt_outs_practice_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_opt_outs_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_outs")),
    )
    with op.batch_alter_table("opt_outs", schema=None) as batch_op:
        batch_op.create_index("ix_opt_outs_e164", ["practice_id", "e164"], unique=False)
        batch_op.create_index("ix_opt_outs_patient", ["practice_id", "patient_id"], unique=False)

    op.create_table(
        "phone_numbers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "type",
            sa.Enum(
                "Mobile",
                "Home",
                "Work",
                "Fax",
                "Other",
                name="phonetype",
                native_enum=False,
                create_constraint=True,
                length=None,
            ),
            nullable=False,
        ),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("e164", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "mobile",
                "fixed-line-or-mobile",
                "fixed-line",
                "other",
                "not-a-number",
                name="linekind",
                native_enum=False,
                create_constraint=True,
                length=None,
            ),
            nullable=False,
        ),
        sa.Column("from_export", sa.Boolean(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.Column("staff_changed", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["practice_id", "patient_id"],
            ["patients.practice_id", "patients.id"],
            name=op.f("fk_phone_numbers_practice_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_phone_numbers_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phone_numbers")),
    )
    with op.batch_alter_table("phone_numbers", schema=None) as batch_op:
        batch_op.create_index("ix_phone_numbers_e164", ["practice_id", "e164"], unique=False)
        batch_op.create_index("ix_phone_numbers_patient", ["practice_id", "patient_id"], unique=False)

    op.create_table(
        "appointments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("business_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("practitioner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("appointment_type_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("starts_wall", sa.DateTime(), nullable=False),
        sa.Column("ends_wall", sa.DateTime(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.Column("staff_changed", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["practice_id", "appointment_type_id"],
            ["appointment_types.practice_id", "appointment_types.id"],
            name=op.f("fk_appointments_practice_id_appointment_type_id"),
        ),
        sa.ForeignKeyConstraint(
            ["practice_id", "business_id"],
            ["businesses.practice_id", "businesses.id"],
            name=op.f("fk_appointments_practice_id_business_id"),
        ),
        sa.ForeignKeyConstraint(
            ["practice_id", "patient_id"],
            ["patients.practice_id", "patients.id"],
            name=op.f("fk_appointments_practice_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(
            ["practice_id", "practitioner_id"],
            ["practitioners.practice_id", "practitioners.id"],
            name=op.f("fk_appointments_practice_id_practitioner_id"),
        ),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_appointments_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointments")),
        sa.UniqueConstraint("practice_id", "external_id", name=op.f("uq_appointments_practice_id_external_id")),
        sa.UniqueConstraint("practice_id", "id", name=op.f("uq_appointments_practice_id_id")),
    )
    with op.batch_alter_table("appointments", schema=None) as batch_op:
        batch_op.create_index("ix_appointments_day", ["practice_id", "business_id", "starts_on"], unique=False)
        batch_op.create_index("ix_appointments_patient", ["practice_id", "patient_id"], unique=False)
        batch_op.create_index("ix_appointments_starts_at", ["starts_at"], unique=False)


def downgrade() -> None:
    op.drop_table("appointments")
    op.drop_table("phone_numbers")
    op.drop_table("opt_outs")
    op.drop_table("missed_days")
    op.drop_table("handled_hours")
    op.drop_table("appointment_types")
    op.drop_table("sms_templates")
    op.drop_table("practitioners")
    op.drop_table("patients")
    op.drop_table("passes")
    op.drop_table("import_runs")
    op.drop_table("businesses")
    op.drop_table("practices")
    op.drop_table("host_state")
