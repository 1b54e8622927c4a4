"""Searching messages: their words, filed by volume, and indexes for what they are filtered by."""

import sqlalchemy as sa
from alembic import op

# The words are those that a search looks for, so they are made by the portal's own code, as it is now.
from portal.core.search import index_words

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

VOLUME = 4_000
REASONS = ('sending-off', 'business-reminders-off', 'no-template', 'no-mobile-number', 'invalid-mobile-number', 'prefers-email', 'prefers-none', 'opted-out', 'patient-archived', 'no-credits', 'no-pass-ran', 'withdrawn', 'deadline-passed', 'provider-refused', 'provider-account')
TABLES = {
    "sqlite": (
        """
CREATE VIRTUAL TABLE message_words
  USING fts5(words, detail=none, columnsize=0, tokenize="ascii tokenchars '/#'")""",
    ),
    "postgresql": (
        """
CREATE TABLE message_words (id bigint CONSTRAINT pk_message_words PRIMARY KEY, words tsvector NOT NULL)""",
        "CREATE INDEX ix_message_words_words ON message_words USING gin (words) WITH (fastupdate = off)",
    ),
}
ADD = {
    "sqlite": "INSERT INTO message_words (rowid, words) VALUES (:id, :words)",
    "postgresql": "INSERT INTO message_words (id, words) VALUES (:id, CAST(:words AS tsvector))",
}
AFTER = """
SELECT messages.practice_id, messages.id, to_number, body, coalesce(first_name, ''), coalesce(last_name, ''),
       coalesce(sent_at, pass_at, messages.created_at)
  FROM messages LEFT JOIN patients ON patients.id = messages.patient_id
 WHERE messages.practice_id = :practice AND messages.id > :after ORDER BY messages.id LIMIT :volume"""


def upgrade() -> None:
    op.create_table('search_volumes',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('first_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('size', sa.Integer(), nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=False),
    sa.Column('practice_id', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['practice_id'], ['practices.id'], name=op.f('fk_search_volumes_practice_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_search_volumes')),
    sa.UniqueConstraint('practice_id', 'first_id', name=op.f('uq_search_volumes_practice_id_first_id'))
    )
    with op.batch_alter_table('messages', schema=None) as batch_op:
        batch_op.create_index('ix_messages_business', ['practice_id', 'business_id', 'id'], unique=False)
        batch_op.create_index('ix_messages_kind', ['practice_id', 'kind', 'id'], unique=False, sqlite_where=sa.text("kind <> 'reminder'"), postgresql_where=sa.text("kind <> 'reminder'"))
        for reason in REASONS:
            name, where = reason.replace('-', '_'), sa.text(f"reasons LIKE '%{reason};%'")
            batch_op.create_index(f'ix_messages_{name}', ['practice_id', 'id'], unique=False, sqlite_where=where, postgresql_where=where)
    for statement in TABLES[op.get_bind().dialect.name]:
        op.execute(statement)
    file_messages(op.get_bind())


def file_messages(connection) -> None:
    add = sa.text(ADD[connection.dialect.name])
    instant = sa.DateTime(timezone=True)
    find = sa.text(AFTER).columns(sa.column('p'), sa.column('id'), sa.column('to'), sa.column('body'), sa.column('first'), sa.column('last'), sa.column('at', instant))
    volumes = sa.table('search_volumes', sa.column('id'), sa.column('practice_id'), sa.column('first_id'), sa.column('size'), sa.column('since', instant), sa.column('until', instant))
    for practice in connection.scalars(sa.text('SELECT id FROM practices ORDER BY id')).all():
        after = 0
        while rows := connection.execute(find, {'practice': practice, 'after': after, 'volume': VOLUME}).all():
            after = rows[-1].id
            instants = [row.at for row in rows]
            volume = connection.execute(
                sa.insert(volumes)
                .values(practice_id=practice, first_id=rows[0].id, size=len(rows), since=min(instants), until=max(instants))
                .returning(volumes.c.id)
            ).scalar_one()
            quote = "'" if connection.dialect.name == 'postgresql' else ''
            connection.execute(
                add,
                [
                    {
                        'id': row.id,
                        'words': ' '.join(
                            f'{quote}{volume}{word}{quote}'
                            for word in index_words((row.first, row.last, row.body or ''), row.to)
                        ),
                    }
                    for row in rows
                ],
            )


def downgrade() -> None:
    op.execute('DROP TABLE message_words')
    with op.batch_alter_table('messages', schema=None) as batch_op:
        for reason in REASONS:
            batch_op.drop_index(f"ix_messages_{reason.replace('-', '_')}")
        batch_op.drop_index('ix_messages_kind')
        batch_op.drop_index('ix_messages_business')
    op.drop_table('search_volumes')
