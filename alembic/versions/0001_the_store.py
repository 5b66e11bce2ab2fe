"""The store: resources, versions and search values.

Revision ID: 0001
Revises: nothing
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
WIDE = sa.text("low < high")
ROWID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "composite_index",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("system", sa.BigInteger(), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("value_system", sa.BigInteger(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("low2", sa.Double(), nullable=False),
        sa.Column("high2", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "key", "param", "code", "system", "value", "value_system", "low", "high", "low2", "high2"
        ),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("composite_index", schema=None) as batch_op:
        batch_op.create_index("composite_code", ["param", "code", "key"], unique=False)

    op.create_table(
        "date_index",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("low", sa.BigInteger(), nullable=False),
        sa.Column("high", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "param", "low", "high"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("date_index", schema=None) as batch_op:
        batch_op.create_index("date_start", ["param", "low", "key", "high"], unique=False)
        batch_op.create_index("date_end", ["param", "high", "key", "low"], unique=False)

    op.create_table(
        "idempotency",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("request", TEXT, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.create_index("idempotency_age", ["created"], unique=False)

    op.create_table(
        "number_index",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", "param", "low", "high"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("number_index", schema=None) as batch_op:
        batch_op.create_index("number_order", ["param", "low", "key"], unique=False)
        batch_op.create_index("number_wide", ["param", "high"], sqlite_where=WIDE, postgresql_where=WIDE)

    op.create_table(
        "quantity_index",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("system", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "param", "low", "high", "code", "system"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("quantity_index", schema=None) as batch_op:
        batch_op.create_index("quantity_order", ["param", "low", "key"], unique=False)
        batch_op.create_index("quantity_wide", ["param", "high"], sqlite_where=WIDE, postgresql_where=WIDE)

    op.create_table(
        "reference_index",
        sa.Column("target", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("target", "param", "key"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("reference_index", schema=None) as batch_op:
        batch_op.create_index("reference_of_resource", ["key", "param"], unique=False)

    op.create_table(
        "resource",
        sa.Column("key", ROWID, autoincrement=False, nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    with op.batch_alter_table("resource", schema=None) as batch_op:
        batch_op.create_index("resource_identity", ["type", "id"], unique=True)
        batch_op.create_index("resource_of_type", ["type", "key"], unique=False)

    op.create_table(
        "setting",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "string_index",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("folded", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("param", "folded", "value", "key"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("string_index", schema=None) as batch_op:
        batch_op.create_index("string_of_resource", ["key", "param"], unique=False)

    op.create_table(
        "token_index",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("system", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("param", "code", "key", "system"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "uri_index",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("param", "value", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "version",
        sa.Column("seq", ROWID, autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("method", TEXT, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
    )
    with op.batch_alter_table("version", schema=None) as batch_op:
        batch_op.create_index("version_of_resource", ["key", "version"], unique=True)
        batch_op.create_index("version_of_type", ["type", "seq"], unique=False)

    setting = sa.table("setting", sa.column("name", sa.Text), sa.column("value", sa.Text))
    op.bulk_insert(setting, [{"name": "secret", "value": secrets.token_hex(32)}])


def downgrade() -> None:
    with op.batch_alter_table("version", schema=None) as batch_op:
        batch_op.drop_index("version_of_type")
        batch_op.drop_index("version_of_resource")

    op.drop_table("version")
    op.drop_table("uri_index")
    op.drop_table("token_index")
    with op.batch_alter_table("string_index", schema=None) as batch_op:
        batch_op.drop_index("string_of_resource")

    op.drop_table("string_index")
    op.drop_table("setting")
    with op.batch_alter_table("resource", schema=None) as batch_op:
        batch_op.drop_index("resource_of_type")
        batch_op.drop_index("resource_identity")

    op.drop_table("resource")
    with op.batch_alter_table("reference_index", schema=None) as batch_op:
        batch_op.drop_index("reference_of_resource")

    op.drop_table("reference_index")
    with op.batch_alter_table("quantity_index", schema=None) as batch_op:
        batch_op.drop_index("quantity_wide")
        batch_op.drop_index("quantity_order")

    op.drop_table("quantity_index")
    with op.batch_alter_table("number_index", schema=None) as batch_op:
        batch_op.drop_index("number_wide")
        batch_op.drop_index("number_order")

    op.drop_table("number_index")
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.drop_index("idempotency_age")

    op.drop_table("idempotency")
    with op.batch_alter_table("date_index", schema=None) as batch_op:
        batch_op.drop_index("date_end")
        batch_op.drop_index("date_start")

    op.drop_table("date_index")
    with op.batch_alter_table("composite_index", schema=None) as batch_op:
        batch_op.drop_index("composite_code")

    op.drop_table("composite_index")
