"""What is dealt with on the worklist; messages by when they came into being."""

import sqlalchemy as sa
from alembic import op


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('dealt_with',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('message_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('user_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('by', sa.Text(), nullable=False),
    sa.Column('practice_id', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['practice_id', 'message_id'], ['messages.practice_id', 'messages.id'], name=op.f('fk_dealt_with_practice_id_message_id')),
    sa.ForeignKeyConstraint(['practice_id'], ['practices.id'], name=op.f('fk_dealt_with_practice_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dealt_with')),
    sa.UniqueConstraint('message_id', name=op.f('uq_dealt_with_message_id'))
    )
    with op.batch_alter_table('messages', schema=None) as batch_op:
        batch_op.create_index('ix_messages_created', ['practice_id', 'created_at', 'status'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('messages', schema=None) as batch_op:
        batch_op.drop_index('ix_messages_created')
    op.drop_table('dealt_with')
