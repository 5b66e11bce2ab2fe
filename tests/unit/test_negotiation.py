"""Formats, preferences, ETags and cursors, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from service.api import conditions, formats
from service.api.cursors import Cursors
from service.errors import BadRequest, NotAcceptable, PreconditionFailed, UnsupportedMediaType

OFFERS = {"text/html": "html", "application/json": "json", "text/csv": "csv"}
CURSORS = Cursors(b"k" * 32)


def request(query: str = "", **headers: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "query_string": query.encode(), "headers": pairs})


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/fhir+json",
        "application/json;q=0.9",
        "text/html, */*;q=0.1",
        "APPLICATION/FHIR+JSON",
        "application/fhir+json; fhirVersion=4.0",
        "application/xml, application/json",
    ],
)
def test_accept_that_admits_json_is_met(accept: str) -> None:
    formats.check_accept(request(accept=accept))


@pytest.mark.parametrize(
    "accept",
    [
        "text/turtle",
        "text/html",
        "application/json;q=0",
        "application/fhir+json; fhirVersion=5.0",
        "application/fhir+xml; fhirVersion=3.0",
        "application/fhir+json; charset=latin-1",
    ],
)
def test_accept_that_admits_neither_json_nor_xml_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        formats.check_accept(request(accept=accept))


@pytest.mark.parametrize(
    ("accept", "xml"),
    [
        ("application/fhir+xml", True),
        ("application/xml", True),
        ("text/xml; fhirVersion=4.0", True),
        ("application/fhir+json;q=0.5, application/fhir+xml", True),
        ("application/fhir+json, application/fhir+xml", False),
        ("application/fhir+xml, application/fhir+json", True),
        ("application/fhir+xml;q=0.9, */*", False),
        ("application/fhir+xml;fhirVersion=5.0, application/json;q=0.1", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_best_of_json_and_xml_wins(accept: str, xml: bool) -> None:
    assert formats.wants_xml(request(accept=accept)) is xml


@pytest.mark.parametrize(
    ("spelling", "xml"),
    [
        ("json", False),
        ("JSON", False),
        ("application/json", False),
        ("text/json", False),
        ("application/fhir%2Bjson", False),
        ("application/fhir+json", False),
        ("application/fhir+json;fhirVersion=4.0", False),
        ("xml", True),
        ("text/xml", True),
        ("application/xml", True),
        ("application/fhir%2Bxml", True),
        ("application/fhir+xml", True),
    ],
)
def test_format_in_every_spelling_stands_above_accept(spelling: str, xml: bool) -> None:
    for accept in ("application/fhir+xml", "application/json", "text/turtle"):
        assert formats.wants_xml(request(f"_format={spelling}", accept=accept)) is xml


@pytest.mark.parametrize("spelling", ["ttl", "html", "", "application/fhir+json;fhirVersion=5.0"])
def test_format_of_another_kind_is_refused(spelling: str) -> None:
    with pytest.raises(NotAcceptable):
        formats.check_accept(request(f"_format={spelling}", accept="application/json"))


@pytest.mark.parametrize("media", ["", "text/plain", "text/turtle", "application/json; charset=latin-1"])
def test_body_of_another_media_type_is_refused(media: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        formats.check_content_type(request(content_type=media))


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "html"),
        ("application/json", "json"),
        ("text/html;q=0.5, text/csv", "csv"),
        ("*/*", "json"),
        ("text/csv;q=0, */*", "json"),
    ],
)
def test_best_offer_wins(accept: str, wanted: str) -> None:
    assert formats.wanted(request(accept=accept), OFFERS, "json") == wanted


@pytest.mark.parametrize(("tag", "version"), [('W/"3"', 3), ('"3"', 3), (' W/"12" ', 12)])
def test_if_match_gives_the_version(tag: str, version: int) -> None:
    assert conditions.if_match(request(if_match=tag)) == version


def test_if_match_of_another_form_is_refused() -> None:
    for tag in ("3", "*", 'W/"1", W/"2"', ""):
        with pytest.raises(BadRequest):
            conditions.if_match(request(if_match=tag))
    with pytest.raises(PreconditionFailed):
        conditions.if_match(request(if_match='W/"abc"'))


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("return=minimal", "return", "minimal"),
        ("respond-async, return=OperationOutcome; handling=strict", "handling", "strict"),
        ('return="representation"', "return", "representation"),
        ("return=everything", "return", "default"),
    ],
)
def test_prefer_gives_known_values_only(text: str, name: str, value: str) -> None:
    assert conditions.prefer(request(prefer=text), name, "default") == value


states = st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(), st.lists, max_leaves=8)


@given(states)
def test_cursor_opens_to_what_was_sealed(state: object) -> None:
    assert CURSORS.open("search/Patient", CURSORS.seal("search/Patient", state)) == state


@given(st.text(max_size=200))
def test_cursor_of_nobody_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        CURSORS.open("search/Patient", text)


def test_cursor_of_another_kind_or_key_is_refused() -> None:
    sealed = CURSORS.seal("search/Patient", [1])
    with pytest.raises(BadRequest):
        CURSORS.open("search/Observation", sealed)
    with pytest.raises(BadRequest):
        Cursors(b"x" * 32).open("search/Patient", sealed)
