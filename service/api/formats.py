"""Content negotiation: FHIR JSON in and out, nothing else.

Source: https://hl7.org/fhir/R4/http.html#mime-type
"""

from __future__ import annotations

from functools import lru_cache

from starlette.requests import Request

from service.errors import NotAcceptable, UnsupportedMediaType

FHIR_JSON = "application/fhir+json"
JSON = frozenset({FHIR_JSON, "application/json"})
ANY = JSON | {"*/*", "application/*"}
SHORT = {"json": FHIR_JSON, "application/fhir json": FHIR_JSON, "application/fhir+json": FHIR_JSON}
VERSIONS = frozenset({"4.0", "4.0.1"})


def check_accept(request: Request) -> None:
    """Raises NotAcceptable when the client takes no JSON; `_format` stands above the Accept header."""
    if b"_format" in request.scope["query_string"]:
        asked = request.query_params.get("_format", "")
        if SHORT.get(asked, asked).partition(";")[0] in JSON:
            return
        raise NotAcceptable("This server speaks application/fhir+json only: _format asks for another format")
    accept = request.headers.get("accept")
    if accept and not _acceptable(accept):
        raise NotAcceptable("This server speaks application/fhir+json (4.0) only: Accept asks for another format")


def check_content_type(request: Request, accepted: frozenset[str] = JSON) -> None:
    """Raises UnsupportedMediaType when the body is of another media type, or names none."""
    if not _matches(request.headers.get("content-type", ""), accepted):
        names = " or ".join(sorted(accepted))
        raise UnsupportedMediaType(f"The Content-Type of the body must be {names} (fhirVersion 4.0, UTF-8)")


@lru_cache(maxsize=1024)
def _acceptable(accept: str) -> bool:
    return any(_matches(part, ANY) for part in accept.split(","))


@lru_cache(maxsize=1024)
def _matches(media: str, names: frozenset[str]) -> bool:
    name, *rest = media.lower().split(";")
    if name.strip() not in names:
        return False
    parameters = dict(part.strip().partition("=")[::2] for part in rest)
    version = parameters.get("fhirversion", "4.0").strip('"')
    charset = parameters.get("charset", "utf-8").strip('"')
    return version in VERSIONS and charset in {"utf-8", "utf8", "us-ascii"} and not _refused(parameters.get("q", "1"))


def _refused(quality: str) -> bool:
    try:
        return float(quality) == 0
    except ValueError:
        return False


def wanted(request: Request, offers: dict[str, str], default: str) -> str:
    """Which of `offers` (media type → name) a client wants: by `?format=`, else by Accept, best quality first."""
    asked = request.query_params.get("format")
    if asked is not None:
        if asked in offers.values():
            return asked
        raise NotAcceptable(f"format must be one of: {', '.join(offers.values())}")
    ranked = sorted(_qualities(request.headers.get("accept", "*/*")), key=lambda pair: -pair[1])
    for name, quality in ranked:
        if quality and name in offers:
            return offers[name]
        if quality and name in {"*/*", "application/*"}:
            return default
    raise NotAcceptable(f"This page comes as {', '.join(offers)}: Accept asks for another format")


def _qualities(accept: str) -> list[tuple[str, float]]:
    found = []
    for part in accept.lower().split(","):
        name, *rest = part.split(";")
        quality = next((item.strip()[2:] for item in rest if item.strip().startswith("q=")), "1")
        try:
            found.append((name.strip(), float(quality)))
        except ValueError:
            found.append((name.strip(), 1.0))
    return found
