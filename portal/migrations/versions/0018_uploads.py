"""Exports that are uploaded in the browser."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STATES = ("matching", "checking", "checked", "importing", "imported", "refused", "discarded")
OPEN = "state IN ('matching', 'checking', 'importing', 'checked')"


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "uploads",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("kind", words("uploadkind", "export", "list"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", words("uploadstate", *STATES), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.Column("uploaded_by_id", row_id, nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("matching", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("found", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("agreed", sa.Text(), nullable=True),
        sa.Column("agreed_by", sa.Text(), nullable=True),
        sa.Column("agreed_by_id", row_id, nullable=True),
        sa.Column("accepts_valid", sa.Boolean(), nullable=False),
        sa.Column("withdraws_missing", sa.Boolean(), nullable=False),
        sa.Column("is_anew", sa.Boolean(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_uploads_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.UniqueConstraint("practice_id", "id", name=op.f("uq_uploads_practice_id_id")),
    )
    is_open = sa.text(OPEN)
    op.create_index(
        "uq_uploads_open", "uploads", ["practice_id"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("ix_uploads_open", "uploads", ["changed_at"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        "upload_pieces",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("upload_id", row_id, nullable=False),
        sa.Column("part", words("uploadpart", "file", "rejects"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_upload_pieces_practice_id")),
        sa.ForeignKeyConstraint(
            ["practice_id", "upload_id"],
            ["uploads.practice_id", "uploads.id"],
            name=op.f("fk_upload_pieces_practice_id_upload_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_pieces")),
        sa.UniqueConstraint(
            "practice_id", "upload_id", "part", "number",
            name=op.f("uq_upload_pieces_practice_id_upload_id_part_number"),
        ),
    )
    op.create_table(
        "list_matchings",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("headings", sa.Text(), nullable=False),
        sa.Column("matching", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_list_matchings_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_matchings")),
        sa.UniqueConstraint("practice_id", "headings", name=op.f("uq_list_matchings_practice_id_headings")),
    )


def downgrade() -> None:
    op.drop_table("list_matchings")
    op.drop_table("upload_pieces")
    op.drop_table("uploads")


def words(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=None)
