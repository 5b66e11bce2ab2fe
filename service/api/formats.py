"""Content negotiation: FHIR JSON and FHIR XML, in and out.

Source: https://hl7.org/fhir/R4/http.html#mime-type
"""

from __future__ import annotations

from functools import lru_cache

from starlette.requests import Request

from service.errors import NotAcceptable, UnsupportedMediaType

FHIR_JSON = "application/fhir+json"
FHIR_XML = "application/fhir+xml"
JSON = frozenset({FHIR_JSON, "application/json", "text/json"})
XML = frozenset({FHIR_XML, "application/xml", "text/xml"})
ANY = frozenset({"*/*", "application/*"})
SHORT = {"json": FHIR_JSON, "xml": FHIR_XML}
VERSIONS = frozenset({"4.0", "4.0.1"})
FORM_FORMAT = "cart_fhir.format"  # where the `_format` of a form stays
SPOKEN = f"This server speaks {FHIR_JSON} and {FHIR_XML} (4.0)"


def check_accept(request: Request) -> None:
    """Raises NotAcceptable when the client takes neither JSON nor XML; `_format` stands above the Accept header."""
    wants_xml(request)


def wants_xml(request: Request) -> bool:
    """Whether the answer is to be XML. Raises NotAcceptable."""
    asked = _format(request)
    if asked is not None:
        kind = _kind(SHORT.get(asked, asked).replace(" ", "+"))  # a "+" that was not percent-encoded arrives as a blank
        if kind is None:
            raise NotAcceptable(f"{SPOKEN}: _format asks for another format")
        return kind == "xml"
    accept = request.headers.get("accept")
    if not accept:
        return False
    kind = _best(accept)
    if kind is None:
        raise NotAcceptable(f"{SPOKEN}: Accept asks for another format")
    return kind == "xml"


def _format(request: Request) -> str | None:
    if b"_format" in request.scope["query_string"] and (asked := request.query_params.get("_format")) is not None:
        return asked.strip().lower()
    return request.scope.get(FORM_FORMAT)


def take_format(request: Request, pairs: list[tuple[str, str]]) -> None:
    """Takes the `_format` of a form into account. Raises NotAcceptable."""
    asked = dict(pairs).get("_format")
    if asked is not None:
        request.scope[FORM_FORMAT] = asked.strip().lower()
        check_accept(request)


def check_content_type(request: Request, accepted: frozenset[str] = JSON | XML) -> None:
    """Raises UnsupportedMediaType when the body is of another media type, or names none."""
    if not _matches(request.headers.get("content-type", ""), accepted):
        names = " or ".join(sorted(accepted))
        raise UnsupportedMediaType(f"The Content-Type of the body must be {names} (fhirVersion 4.0, UTF-8)")


def sends_xml(request: Request) -> bool:
    """Whether the body is XML."""
    return _matches(request.headers.get("content-type", ""), XML)


@lru_cache(maxsize=1024)
def _best(accept: str) -> str | None:
    """The format of the best quality that an Accept header names, the first of equals."""
    if "text/html" in accept and any(_matches(part, ANY) for part in accept.split(",")):
        return "json"  # a browser, which names XML for the sake of XHTML
    found = [(_quality(part), kind) for part in accept.split(",") if (kind := _kind(part)) is not None]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _kind(media: str) -> str | None:
    if _matches(media, XML):
        return "xml"
    return "json" if _matches(media, JSON | ANY) else None


def _quality(media: str) -> float:
    return dict(_qualities(media)).popitem()[1]


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
