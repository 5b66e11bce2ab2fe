"""The tables. Rows never leave this room; keys are integers and an index row names its resource by `key`.

A resource's `key` is given once and for ever; `seq` counts all versions in the order of their commits, which makes the
version table the change feed. Times are microseconds since 1970 UTC. Parameters are numbered by
`index.parameter_number`, code systems by `index.system_number`, resource types by their place in R4's alphabet.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Double, Index, Integer, LargeBinary, SmallInteger, Text, text
from sqlmodel import Field, SQLModel

# SQLite makes a column the rowid itself only where its type is spelled INTEGER.
ROWID = BigInteger().with_variant(Integer, "sqlite")
# Compared byte by byte, as SQLite does: prefixes are ranges and the order is the same on both.
TEXT = Text().with_variant(Text(collation="C"), "postgresql")
LIVING = "state IN ('waiting', 'running')"
_PACKED = {"sqlite_with_rowid": False}


class Resource(SQLModel, table=True):
    """The current state of one resource: which version (`seq`) is the newest, whether it is deleted."""

    __tablename__ = "resource"
    __table_args__ = (
        Index("resource_identity", "type", "id", unique=True),
        Index("resource_of_type", "type", "key"),
    )
    key: int = Field(primary_key=True, sa_type=ROWID, sa_column_kwargs={"autoincrement": False})
    type: int = Field(sa_type=SmallInteger)
    id: str = Field(sa_type=TEXT)
    version: int = Field(sa_type=Integer)
    seq: int = Field(sa_type=BigInteger)
    updated: int = Field(sa_type=BigInteger)
    deleted: bool


class Version(SQLModel, table=True):
    """Every version that ever was, by commit order; `content` is the JSON as it is sent, null for a deletion."""

    __tablename__ = "version"
    __table_args__ = (
        Index("version_of_resource", "key", "version", unique=True),
        Index("version_of_type", "type", "seq"),
    )
    seq: int = Field(primary_key=True, sa_type=ROWID, sa_column_kwargs={"autoincrement": False})
    key: int = Field(sa_type=BigInteger)
    type: int = Field(sa_type=SmallInteger)
    version: int = Field(sa_type=Integer)
    updated: int = Field(sa_type=BigInteger)
    method: str = Field(sa_type=TEXT)
    content: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)


class TokenIndex(SQLModel, table=True):
    """Codes, identifiers, booleans. `key` stands before `system`, so that a code alone can be probed by resource."""

    __tablename__ = "token_index"
    __table_args__ = _PACKED
    param: int = Field(primary_key=True, sa_type=Integer)
    code: str = Field(primary_key=True, sa_type=TEXT)
    key: int = Field(primary_key=True, sa_type=BigInteger)
    system: int = Field(primary_key=True, sa_type=BigInteger)


class ReferenceIndex(SQLModel, table=True):
    """Local references by the key of their target; param 0 holds those that no search parameter covers."""

    __tablename__ = "reference_index"
    __table_args__ = (Index("reference_of_resource", "key", "param"), _PACKED)
    target: int = Field(primary_key=True, sa_type=BigInteger)
    param: int = Field(primary_key=True, sa_type=Integer)
    key: int = Field(primary_key=True, sa_type=BigInteger)


class StringIndex(SQLModel, table=True):
    """Strings: `folded` without case and accents, `value` as it was."""

    __tablename__ = "string_index"
    __table_args__ = (Index("string_of_resource", "key", "param"), _PACKED)
    param: int = Field(primary_key=True, sa_type=Integer)
    folded: str = Field(primary_key=True, sa_type=TEXT)
    value: str = Field(primary_key=True, sa_type=TEXT)
    key: int = Field(primary_key=True, sa_type=BigInteger)


class DateIndex(SQLModel, table=True):
    """Dates and periods as [low, high) in microseconds."""

    __tablename__ = "date_index"
    __table_args__ = (
        Index("date_start", "param", "low", "key", "high"),
        Index("date_end", "param", "high", "key", "low"),
        _PACKED,
    )
    key: int = Field(primary_key=True, sa_type=BigInteger)
    param: int = Field(primary_key=True, sa_type=Integer)
    low: int = Field(primary_key=True, sa_type=BigInteger)
    high: int = Field(primary_key=True, sa_type=BigInteger)


class NumberIndex(SQLModel, table=True):
    """Numbers; the nearest double keeps their order."""

    __tablename__ = "number_index"
    __table_args__ = (
        Index("number_order", "param", "low", "key"),
        Index("number_wide", "param", "high", sqlite_where=text("low < high"), postgresql_where=text("low < high")),
        _PACKED,
    )
    key: int = Field(primary_key=True, sa_type=BigInteger)
    param: int = Field(primary_key=True, sa_type=Integer)
    low: float = Field(primary_key=True, sa_type=Double)
    high: float = Field(primary_key=True, sa_type=Double)


class QuantityIndex(SQLModel, table=True):
    """Quantities by the unit they were sent with: `code` is the unit's code, or its text with system 0."""

    __tablename__ = "quantity_index"
    __table_args__ = (
        Index("quantity_order", "param", "low", "key"),
        Index("quantity_wide", "param", "high", sqlite_where=text("low < high"), postgresql_where=text("low < high")),
        _PACKED,
    )
    key: int = Field(primary_key=True, sa_type=BigInteger)
    param: int = Field(primary_key=True, sa_type=Integer)
    low: float = Field(primary_key=True, sa_type=Double)
    high: float = Field(primary_key=True, sa_type=Double)
    code: str = Field(primary_key=True, sa_type=TEXT)
    system: int = Field(primary_key=True, sa_type=BigInteger)


class UriIndex(SQLModel, table=True):
    """URIs, canonicals and references to other servers."""

    __tablename__ = "uri_index"
    __table_args__ = _PACKED
    param: int = Field(primary_key=True, sa_type=Integer)
    value: str = Field(primary_key=True, sa_type=TEXT)
    key: int = Field(primary_key=True, sa_type=BigInteger)


class CompositeIndex(SQLModel, table=True):
    """Composite values of repeated elements, one row for each pairing inside one element.

    The first component is `code` and `system`; the second a text (`value`, `value_system`) or a number (with its unit
    there); the third a number, `low2` and `high2`.
    """

    __tablename__ = "composite_index"
    __table_args__ = (Index("composite_code", "param", "code", "key"), _PACKED)
    key: int = Field(primary_key=True, sa_type=BigInteger)
    param: int = Field(primary_key=True, sa_type=Integer)
    code: str = Field(primary_key=True, sa_type=TEXT)
    system: int = Field(primary_key=True, sa_type=BigInteger)
    value: str = Field(primary_key=True, sa_type=TEXT)
    value_system: int = Field(primary_key=True, sa_type=BigInteger)
    low: float = Field(primary_key=True, sa_type=Double)
    high: float = Field(primary_key=True, sa_type=Double)
    low2: float = Field(primary_key=True, sa_type=Double)
    high2: float = Field(primary_key=True, sa_type=Double)


class Setting(SQLModel, table=True):
    """What the database knows of itself: the secret of paging links, the fingerprint of the index."""

    __tablename__ = "setting"
    name: str = Field(primary_key=True, sa_type=TEXT)
    value: str = Field(sa_type=TEXT)


class Idempotency(SQLModel, table=True):
    """What requests with an Idempotency-Key did; `key` and `request` are digests, `result` is MessagePack."""

    __tablename__ = "idempotency"
    __table_args__ = (Index("idempotency_age", "created"),)
    key: str = Field(primary_key=True, sa_type=TEXT)
    request: str = Field(sa_type=TEXT)
    created: int = Field(sa_type=BigInteger)
    result: bytes = Field(sa_type=LargeBinary)


class NoteRow(SQLModel, table=True):
    """What the service keeps of its own beside the resources (service.fhir.ledger.Note)."""

    __tablename__ = "note"
    __table_args__ = _PACKED
    room: str = Field(primary_key=True, sa_type=TEXT)
    key: str = Field(primary_key=True, sa_type=TEXT)
    content: bytes = Field(sa_type=LargeBinary)


class JobRow(SQLModel, table=True):
    """Work that outlives its process (service.fhir.ledger.Job). One living job for each `alone`."""

    __tablename__ = "job"
    __table_args__ = (
        Index("job_due", "state", "due", "created"),
        Index("job_of_state", "state", "created", "id"),
        Index("job_created", "created", "id"),
        Index("job_alone", "alone", unique=True, sqlite_where=text(LIVING), postgresql_where=text(LIVING)),
    )
    id: str = Field(primary_key=True, sa_type=TEXT)
    kind: str = Field(sa_type=TEXT)
    state: str = Field(sa_type=TEXT)
    due: int = Field(sa_type=BigInteger)
    token: int = Field(sa_type=BigInteger)
    until: int = Field(sa_type=BigInteger)
    attempts: int = Field(sa_type=Integer)
    created: int = Field(sa_type=BigInteger)
    changed: int = Field(sa_type=BigInteger)
    input: bytes = Field(sa_type=LargeBinary)
    checkpoint: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    alone: str | None = Field(default=None, sa_type=TEXT, nullable=True)


INDEXES = (
    TokenIndex,
    ReferenceIndex,
    StringIndex,
    DateIndex,
    NumberIndex,
    QuantityIndex,
    UriIndex,
    CompositeIndex,
)
