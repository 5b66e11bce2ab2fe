"""What the service keeps of its own: notes, and jobs that outlive their process.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LIVING = sa.text("state IN ('waiting', 'running')")


def upgrade() -> None:
    op.create_table(
        "note",
        sa.Column("room", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("room", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("input", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=True),
        sa.Column("alone", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index("job_due", ["state", "due", "created"], unique=False)
        batch_op.create_index("job_of_state", ["state", "created", "id"], unique=False)
        batch_op.create_index("job_created", ["created", "id"], unique=False)
        batch_op.create_index("job_alone", ["alone"], unique=True, sqlite_where=LIVING, postgresql_where=LIVING)


def downgrade() -> None:
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index("job_alone")
        batch_op.drop_index("job_created")
        batch_op.drop_index("job_of_state")
        batch_op.drop_index("job_due")
    op.drop_table("job")
    op.drop_table("note")
