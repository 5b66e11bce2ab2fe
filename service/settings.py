"""The only reader of the environment. Every setting is `CART_FHIR_<NAME>`; `PORT` is understood as well."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator can choose. Passed from `create_app` and the command line, never imported as a value."""

    model_config = SettingsConfigDict(env_prefix="CART_FHIR_", extra="ignore", populate_by_name=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(
        8000,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("CART_FHIR_PORT", "PORT"),
        description="Port to listen on (`PORT` works too).",
    )
    data_dir: Path = Field(Path(".cart-fhir"), description="Folder of the SQLite file and the caches.")
    database_url: str = Field(
        "",
        description="`sqlite:///file` or `postgresql://user@host/name`; empty: `cart-fhir.sqlite` in the data folder.",
    )
    base_url: str = Field("", description="Public FHIR base, where a proxy hides it; empty: taken from each request.")
    time_zone: str = Field("Europe/Istanbul", description="Zone in which dates without an offset are read.")
    max_body_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="Largest request body; more is a 413.")
    max_depth: int = Field(64, ge=8, description="Deepest nesting of a JSON body.")
    max_bundle_entries: int = Field(10_000, ge=1, description="Most entries of one batch or transaction.")
    handling: Literal["strict", "lenient"] = Field(
        "strict", description="What becomes of a resource that violates only a profile: refused, or stored and flagged."
    )
    default_page_size: int = Field(50, ge=1, description="Entries of a search or history page without `_count`.")
    max_page_size: int = Field(1000, ge=1, description="Upper bound of `_count`.")
    write_timeout_seconds: float = Field(60.0, gt=0, description="A write that is not done by then is undone: 503.")
    search_timeout_seconds: float = Field(30.0, gt=0, description="A search that takes longer is stopped: 503.")
    database_silence_seconds: float = Field(
        5.0, gt=0, description="A PostgreSQL that is silent for so long, without work to do, counts as gone: 503."
    )
    idempotency_hours: float = Field(24.0, gt=0, description="For how long an Idempotency-Key is remembered.")
    drain_seconds: float = Field(30.0, ge=0, description="How long a stop waits for the requests under way.")
    workers: int = Field(
        4, ge=0, description="Jobs that the serving process works on at once; 0 leaves them to `cart-fhir worker`."
    )
    log_level: str = Field("INFO", description="Level of the structured log on standard error.")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not the name of a time zone, such as Europe/Istanbul") from None
        return value

    def url(self) -> str:
        """The database as an SQLAlchemy URL: `sqlite:///…` or `postgresql+psycopg://…`."""
        url = self.database_url or f"sqlite:///{self.data_dir / 'cart-fhir.sqlite'}"
        for scheme in ("postgres://", "postgresql://"):
            if url.startswith(scheme):
                return "postgresql+psycopg://" + url[len(scheme) :]
        return url


def shipped(*parts: str) -> Path:
    """A file or folder that ships with the service: `shipped("mappings", "isikok-19")`.

    In a checkout these stand at its top level, in an installed wheel under `service/_data`.
    """
    package = Path(__file__).resolve().parent
    packed = package / "_data"
    return (packed if packed.is_dir() else package.parent).joinpath(*parts)
