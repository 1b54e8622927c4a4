"""Numbers mended at once can be put back; patients who are one are merged."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# Found by what is wrong with them, without reading the others.
PARTIAL = {
    "ix_phone_numbers_filed_elsewhere": "type <> 'Mobile' AND kind = 'mobile' AND removed_at IS NULL",
    "ix_phone_numbers_no_mobile": (
        "type = 'Mobile' AND kind NOT IN ('mobile', 'fixed-line-or-mobile') AND removed_at IS NULL"
    ),
}
# These know more than before: (table, index, its columns, those that are new).
WIDER = (
    ("patients", "ix_patients_name", ["practice_id", "searched", "id"], ["date_of_birth", "merged_into_id"]),
    ("patients", "ix_patients_preference", ["practice_id", "preference", "archived"], ["merged_into_id"]),
    ("phone_numbers", "ix_phone_numbers_e164", ["practice_id", "e164"], ["patient_id"]),
)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("patients", sa.Column("merged_into_id", ROW_ID, nullable=True))
    for table, name, columns, new in WIDER:
        op.drop_index(name, table)
        op.create_index(name, table, columns + new)
    for name, condition in PARTIAL.items():
        where = sa.text(condition)
        op.create_index(
            name, "phone_numbers", ["practice_id", "patient_id"], sqlite_where=where, postgresql_where=where
        )
    make_table(
        "tidyings",
        *who_did_it(),
        sa.Column("what", words("what", "filed", "corrected", "added"), nullable=False),
        sa.Column("numbers", sa.Integer(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.Column("undone_by_id", ROW_ID, nullable=True),
        sa.UniqueConstraint("practice_id", "id", name=op.f("uq_tidyings_practice_id_id")),
    )
    op.create_index("ix_tidyings_practice", "tidyings", ["practice_id", "id"])
    make_table(
        "tidied_numbers",
        sa.Column("tidying_id", ROW_ID, nullable=False),
        sa.Column("patient_id", ROW_ID, nullable=False),
        sa.Column("number_id", ROW_ID, nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("fate", words("fate", "done", "undone", "left"), nullable=False),
        *within_the_practice("tidied_numbers", tidying_id="tidyings", patient_id="patients"),
    )
    op.create_index("ix_tidied_numbers_tidying", "tidied_numbers", ["practice_id", "tidying_id", "id"])
    op.create_index("ix_tidied_numbers_patient", "tidied_numbers", ["practice_id", "patient_id"])
    make_table(
        "merges",
        sa.Column("gone_id", ROW_ID, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("kept_id", ROW_ID, nullable=False),
        sa.Column("first_place", sa.Integer(), nullable=False),
        *who_did_it(),
        *within_the_practice("merges", gone_id="patients", kept_id="patients"),
        sa.UniqueConstraint("practice_id", "gone_id", name=op.f("uq_merges_practice_id_gone_id")),
        sa.UniqueConstraint("practice_id", "external_id", name=op.f("uq_merges_practice_id_external_id")),
    )
    op.create_index("ix_merges_kept", "merges", ["practice_id", "kept_id"])
    op.create_index("ix_merges_newest", "merges", ["practice_id", "id"])
    make_table(
        "two_people",
        sa.Column("first_id", ROW_ID, nullable=False),
        sa.Column("second_id", ROW_ID, nullable=False),
        *who_did_it(),
        *within_the_practice("two_people", first_id="patients", second_id="patients"),
        sa.UniqueConstraint(
            "practice_id", "first_id", "second_id", name=op.f("uq_two_people_practice_id_first_id_second_id")
        ),
        sa.CheckConstraint("first_id < second_id", name=op.f("ck_two_people_in_order")),
    )
    op.create_index("ix_two_people_second", "two_people", ["practice_id", "second_id"])


def downgrade() -> None:
    for table in ("two_people", "merges", "tidied_numbers", "tidyings"):
        op.drop_table(table)
    for name in PARTIAL:
        op.drop_index(name, "phone_numbers")
    for table, name, columns, _ in WIDER:
        op.drop_index(name, table)
        op.create_index(name, table, columns)
    op.drop_column("patients", "merged_into_id")


def make_table(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        *parts,
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f(f"fk_{name}_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
    )


def who_did_it() -> tuple[sa.Column, ...]:
    return (
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("by_id", ROW_ID, nullable=True),
    )


def words(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=None)


def within_the_practice(table: str, **columns: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint(
            ["practice_id", column],
            [f"{other}.practice_id", f"{other}.id"],
            name=op.f(f"fk_{table}_practice_id_{column}"),
        )
        for column, other in columns.items()
    ]
