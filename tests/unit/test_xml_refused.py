"""FHIR XML that is refused, with the place and without the data; and JSON that XML cannot say."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from xml_documents import ABSENT, DEPTH, FHIR, KNOWN, XHTML, bundle, document, patient

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.conformance.xml import from_xml, to_xml
from service.errors import BadRequest, Issue, NotAcceptable
from service.fhir.json import decode, encode

SECRET = "Ayşe-Öztürk-1974"


def refused(body: bytes, definitions: Definitions, depth: int = DEPTH) -> tuple[Issue, ...]:
    """The issues of a body that must be refused: a 400 of the code `structure`, with a place in the text."""
    with pytest.raises(BadRequest) as caught:
        from_xml(body, definitions, depth)
    for issue in caught.value.issues:
        assert issue.code == "structure"
        assert (issue.line or 0) >= 1
        assert (issue.column or 0) >= 1
    return caught.value.issues


UNSAYABLE = [
    ({"resourceType": "Nothing"}, "Resource"),
    ({}, "Resource"),
    (patient(nmae=1), "Patient.nmae"),
    (patient(**{SECRET: 1}), "Patient"),
    (patient(name=[{}, {"family": "a\ufffe"}]), "Patient.name[1].family"),
    (patient(id="a\x01"), "Patient.id"),
    (patient(name={"family": "a"}), "Patient.name"),
    (patient(active={"a": 1}), "Patient.active"),
    (patient(maritalStatus="M"), "Patient.maritalStatus"),
    (patient(extension=[{"url": "a\x01"}]), "Patient.extension[0].url"),
    (patient(extension=[{"url": "urn:a", "_url": ABSENT}]), "Patient.extension[0]._url"),
    (patient(_active={"value": "x"}), "Patient.active.value"),
    (patient(_text={}), "Patient._text"),
    (patient(contained=[{"resourceType": "Nothing"}]), "Patient.contained[0]"),
    (bundle(patient(), patient(x=1)), "Bundle.entry[1].resource.x"),
    *[
        (patient(text={"status": "empty", "div": div}), "Patient.text.div")
        for div in (
            "",
            "text",
            "<div>no namespace</div>",
            f"<p {XHTML}/>",
            f"<div {XHTML}>open",
            f"<div {XHTML}></div></text><active value='true'/><text>",
            f"<div {XHTML}/><div {XHTML}/>",
            f"<!DOCTYPE div [<!ENTITY a 'b'>]><div {XHTML}>&a;</div>",
            f"<?xml version='1.0'?><div {XHTML}/>",
            f"<div {XHTML}>\x01</div>",
            f"<div {XHTML}>\ud800</div>",
            1,
        )
    ],
]


@pytest.mark.parametrize(("resource", "expression"), UNSAYABLE)
def test_write_what_xml_cannot_say(resource: dict[str, Any], expression: str, definitions: Definitions) -> None:
    with pytest.raises(NotAcceptable) as caught:
        to_xml(resource, definitions)
    assert [issue.expression for issue in caught.value.issues] == [expression]


def test_write_deep_nesting(definitions: Definitions) -> None:
    deep: dict[str, Any] = {"url": "urn:a", "valueBoolean": True}
    for _ in range(2000):
        deep = {"url": "urn:a", "extension": [deep]}
    with pytest.raises(NotAcceptable):
        to_xml(patient(extension=[deep]), definitions)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE: dict[str, tuple[bytes, str]] = {
    "billion-laughs": (
        f'<!DOCTYPE l [<!ENTITY l0 "ha">{LAUGHS}]><Patient {FHIR}><id value="&l9;"/></Patient>'.encode(),
        "xml-doctype",
    ),
    "external-entity": (
        f'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><Patient {FHIR}><id value="&x;"/></Patient>'.encode(),
        "xml-doctype",
    ),
    "external-dtd": (f'<!DOCTYPE p SYSTEM "http://127.0.0.1:9/x.dtd"><Patient {FHIR}/>'.encode(), "xml-doctype"),
    "parameter-entity": (
        f'<!DOCTYPE p [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><Patient {FHIR}/>'.encode(),
        "xml-doctype",
    ),
    "utf-16-doctype": (
        f'<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE p [<!ENTITY x "y">]><Patient {FHIR}/>'.encode("utf-16"),
        "xml-encoding",
    ),
    "latin-1": (f'<?xml version="1.0" encoding="ISO-8859-9"?><Patient {FHIR}/>'.encode(), "xml-encoding"),
    "not-utf-8": (document('<name><text value="é"/></name>').decode().encode("latin-1"), "not-xml"),
    "undefined-entity": (document('<id value="&nbsp;"/>'), "not-xml"),
    "nothing": (b"", "not-xml"),
    "nul": (b"\0", "not-xml"),
    "json": (b'{"resourceType": "Patient"}', "not-xml"),
    "open": (f"<Patient {FHIR}>".encode(), "not-xml"),
    "two-roots": (document("") + document(""), "not-xml"),
    "control-character": (document('<id value="&#1;"/>'), "not-xml"),
    "attribute-twice": (document('<id value="a" value="b"/>'), "not-xml"),
    "unbound-prefix": (document('<f:id value="a"/>'), "not-xml"),
    "deep": (document('<extension url="a">' * 5000), "xml-too-deep"),
    "deep-narrative": (document(f"<text><div {XHTML}>" + "<b>" * 5000), "xml-too-deep"),
    "deep-unknown": (document("<a>" * 5000), "element-unknown"),
    "deep-contained": (document("<contained><Patient>" * 5000), "xml-too-deep"),
    "no-namespace": (b"<Patient/>", "xml-namespace"),
    "wrong-namespace": (b'<Patient xmlns="http://hl7.org/fhir/"/>', "xml-namespace"),
    "wrong-namespace-below": (document('<id xmlns="urn:x" value="a"/>'), "xml-namespace"),
    "div-without-namespace": (document("<text><status value='empty'/><div/></text>"), "xml-namespace"),
    "div-with-other-elements": (
        f'<Patient {FHIR} xmlns:h="http://www.w3.org/1999/xhtml"><text><h:div><id/></h:div></text></Patient>'.encode(),
        "txt-1",
    ),
    "mixed-content": (document(f"<active value='true'/>{SECRET}"), "xml-text"),
    "text-as-value": (document(f"<gender>{SECRET}</gender>"), "xml-text"),
    "no-break-space": (document("\u00a0"), "xml-text"),
    "cdata": (document(f"<![CDATA[{SECRET}]]>"), "xml-text"),
    "attribute-of-a-resource": (document("").replace(b"<Patient", b'<Patient id="a"'), "xml-attribute"),
    "attribute-unknown": (document(f'<name family="{SECRET}"><text value="a"/></name>'), "xml-attribute"),
    "attribute-of-another-namespace": (document('<id xmlns:x="urn:x" x:value="a"/>'), "xml-attribute"),
    "schema-location": (
        document("").replace(b">", b' xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:schemaLocation="a b">', 1),
        "xml-attribute",
    ),
    "url-of-an-element": (document('<name url="a"><text value="a"/></name>'), "xml-attribute"),
    "attribute-of-contained": (document("<contained id='a'><Patient/></contained>"), "xml-attribute"),
    "attribute-empty": (document('<id value=""/>'), "xml-attribute-empty"),
    "attribute-blank": (document('<id value=" &#10;"/>'), "xml-attribute-empty"),
    "element-unknown": (document(f'<nmae value="{SECRET}"/>'), "element-unknown"),
    "choice-unknown": (document('<deceasedString value="x"/>'), "element-unknown"),
    "choice-without-type": (document('<deceased value="true"/>'), "element-unknown"),
    "resource-unknown": (document("", "Nothing"), "resource-type-unknown"),
    "resource-abstract": (document("", "DomainResource"), "resource-type-unknown"),
    "contained-unknown": (document("<contained><Nothing/></contained>"), "resource-type-unknown"),
    "contained-two": (document("<contained><Patient/><Device/></contained>"), "xml-resources"),
    "contained-none": (document("<contained/>"), "object-empty"),
    "empty-element": (document("<name/>"), "object-empty"),
    "empty-primitive": (document("<active/>"), "object-empty"),
    "order": (document('<gender value="other"/><active value="true"/>'), "xml-order"),
    "interleaved": (document('<name><given value="a"/><suffix value="b"/><given value="c"/></name>'), "xml-order"),
    "repeated-primitive": (document('<active value="true"/><active value="true"/>'), "array-unexpected"),
    "repeated-object": (document('<maritalStatus><text value="a"/></maritalStatus>' * 2), "array-unexpected"),
    "repeated-div": (document(f"<text><div {XHTML}/><div {XHTML}/></text>"), "array-unexpected"),
    "boolean": (document(f'<active value="{SECRET}"/>'), "primitive-type"),
    "boolean-in-capitals": (document('<active value="True"/>'), "primitive-type"),
    "integer": (document('<multipleBirthInteger value="1.0"/>'), "primitive-type"),
    "integer-of-many-digits": (document(f'<multipleBirthInteger value="{"9" * 5000}"/>'), "primitive-type"),
    "decimal": (document('<valueQuantity><value value="+1,5"/></valueQuantity>', "Observation"), "primitive-type"),
    "decimal-not-a-number": (
        document('<valueQuantity><value value="NaN"/></valueQuantity>', "Observation"),
        "primitive-type",
    ),
    "decimal-of-many-digits": (
        document(f'<valueQuantity><value value="{"9" * 5000}"/></valueQuantity>', "Observation"),
        "primitive-type",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_read_hostile_document(name: str, definitions: Definitions) -> None:
    body, rule = HOSTILE[name]
    started = time.perf_counter()
    issues = refused(body, definitions)
    assert time.perf_counter() - started < 30  # a hang, not a speed
    assert issues[0].rule == rule
    told = " ".join(f"{issue.text} {issue.expression}" for issue in issues)
    assert not any(part in told for part in SECRET.split("-"))


PLACES = [
    ("\n  <nmae/>", (2, 3), "Patient.nmae"),
    ("<name/>\n<name>\n\t<period><start/></period></name>", (1, 38), "Patient.name[0]"),
    (f"\n<name><text value='İış{SECRET}'/><use value='usual'/></name>", (2, 42), "Patient.name[0].use"),
    ("<name><given value='a'/><given value='b'/>\n <given/></name>", (2, 2), "Patient.name[0].given[2]"),
    ("<contained><Patient><active value='1'/></Patient></contained>", (1, 58), "Patient.contained[0].active"),
    ("<gender value='other'>\n<extension url='a'><valueBoolean value='?'/></extension></gender>", (2, 20), None),
    ("<name>\n text\n more</name>", (2, 1), "Patient.name[0]"),
]


@pytest.mark.parametrize(("content", "where", "expression"), PLACES)
def test_read_names_the_place(
    content: str, where: tuple[int, int], expression: str | None, definitions: Definitions
) -> None:
    issue = refused(document(content), definitions)[0]
    assert (issue.line, issue.column) == where
    assert issue.expression == (expression or "Patient.gender.extension[0].valueBoolean")


def test_read_names_everything_at_once(definitions: Definitions) -> None:
    issues = refused(
        document("<nmae/><active value='1'/><name/><name x='y'/><contained><No/></contained>"), definitions
    )
    assert [issue.rule for issue in issues] == [
        "element-unknown",
        "primitive-type",
        "object-empty",
        "xml-attribute",
        "xml-order",
        "resource-type-unknown",
    ]
    assert issues[0].text.endswith("; did you mean 'name'?")


def test_read_stops_after_fifty_issues(definitions: Definitions) -> None:
    assert len(refused(document("<name/>" * 100_000), definitions)) == 50


def test_read_limits_depth_as_json_does(definitions: Definitions) -> None:
    """What JSON allows, XML allows: arrays and objects count."""
    nested: dict[str, Any] = {"url": "urn:a", "valueBoolean": True}
    for _ in range(4):
        nested = {"url": "urn:a", "extension": [nested]}
    resource = bundle(patient(extension=[nested], contained=[patient(_active={"extension": [nested]})]))
    depth = next(limit for limit in range(1, 40) if _decodes(resource, limit))
    body = to_xml(resource, definitions)
    assert from_xml(body, definitions, depth) == resource
    assert {issue.rule for issue in refused(body, definitions, depth - 1)} == {"xml-too-deep"}


def _decodes(resource: dict[str, Any], depth: int) -> bool:
    try:
        decode(encode(resource), depth)
    except BadRequest:
        return False
    return True


def test_read_damaged_documents(definitions: Definitions) -> None:
    """Whatever is cut out of, put into or doubled in a document: JSON or a 400, and what JSON it is can be judged."""
    sources = [text.encode() for text, _ in KNOWN.values()]
    pieces = [b"<", b">", b"/", b'"', b"&", b"<a/>", b" ", b"]]>", b"<!--", b"\xff", b"<name>", b"</name>", b"<div>"]
    chance = random.Random(7)
    validator = Validator(definitions)
    read = 0
    for _ in range(3000):
        body = chance.choice(sources)
        start, end = sorted(chance.choices(range(len(body)), k=2))
        change = chance.choice([b"", body[start:end] * 2, chance.choice(pieces)])
        try:
            resource = from_xml(
                body[:start] + change + body[min(end, start + chance.choice([0, 1, 9, 99])) :], definitions, 9
            )
        except BadRequest:
            continue
        read += 1
        validator.check(resource)
    assert read > 20
