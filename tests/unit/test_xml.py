"""FHIR XML: nothing is lost on the way there and back, and the elements stand as R4 orders them."""

from __future__ import annotations

import random
import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from xml_documents import ABSENT, DECLARATION, DEPTH, KNOWN, XHTML, bundle, exact, observation, patient

from service.conformance.definitions import CORE_PACKAGE, OWN_RESOURCES, Definitions
from service.conformance.xml import from_xml, to_xml
from service.fhir.json import decode, encode
from service.settings import shipped


def round_trip(resource: dict[str, Any], definitions: Definitions) -> bytes:
    """The JSON after a way through XML, whose text is the same when written again."""
    body = to_xml(resource, definitions)
    back = from_xml(body, definitions, 1000)
    assert to_xml(back, definitions) == body
    return exact(back)


@pytest.mark.parametrize("path", sorted(shipped(*OWN_RESOURCES).glob("*.json")), ids=lambda path: path.stem)
def test_round_trip_of_our_resources(path: Path, definitions: Definitions) -> None:
    resource = decode(path.read_bytes(), 1000)
    assert round_trip(resource, definitions) == exact(resource)


def test_round_trip_of_core_resources(definitions: Definitions) -> None:
    """200 of the 4,480 of the package: among them narratives, contained resources and deep nesting."""
    with tarfile.open(shipped(*CORE_PACKAGE)) as archive:
        members = [m for m in archive if m.name.endswith(".json") and "-" in Path(m.name).name]
        sample = set(random.Random(20).sample([m.name for m in members], 200))
        seen = set()
        for member in members:
            if member.name in sample:
                stream = archive.extractfile(member)
                assert stream is not None
                resource = decode(stream.read(), 1000)
                seen.add(resource["resourceType"])
                assert round_trip(resource, definitions) == exact(resource), member.name
    assert {"StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter"} <= seen


TRICKY: dict[str, dict[str, Any]] = {
    "bare": patient(),
    "booleans-and-integers": patient(active=False, deceasedBoolean=True, multipleBirthInteger=-3),
    "string-like-a-boolean": observation(valueString="true"),
    "string-like-a-number": observation(valueString="1.00"),
    "primitive-with-id": patient(birthDate="1974", _birthDate={"id": "b1"}),
    "primitive-absent": patient(_birthDate=ABSENT),
    "primitive-value-and-extension": patient(gender="other", _gender={"id": "g", **ABSENT}),
    "array-extension-last": patient(name=[{"given": ["Ayşe", None], "_given": [None, ABSENT]}]),
    "array-extension-first": patient(name=[{"given": [None, "Ayşe"], "_given": [ABSENT, {"id": "g"}]}]),
    "array-extension-between": patient(name=[{"given": ["A", "B", "C"], "_given": [None, {"id": "g"}, None]}]),
    "array-only-extensions": patient(name=[{"_given": [ABSENT, ABSENT]}]),
    "resource-id-extended": patient(id="p1", _id=ABSENT),
    "element-id": patient(name=[{"id": "n1", "family": "Öztürk"}]),
    "extension-nested": patient(
        extension=[{"id": "e", "url": "urn:a", "extension": [{"url": "b", "valueInteger": 1}]}]
    ),
    "modifier-extension": patient(modifierExtension=[{"url": "urn:m", "valueBoolean": True}]),
    "turkish": patient(name=[{"family": "İış ŞĞÜÖÇ ığ", "text": "I\u0307 \U0001f9ec"}]),
    "markup": patient(name=[{"text": "<b>&amp; \"a\" 'b' ]]> <!-- x -->"}]),
    "white-space": observation(valueString="  two\n\tlines\r\nand \u00a0 blanks\u2028 "),
    "choice": observation(valueCodeableConcept={"coding": [{"system": "urn:x", "code": "1", "userSelected": False}]}),
    "choice-primitive-extended": observation(effectiveDateTime="2021-03", _effectiveDateTime=ABSENT),
    "narrative": patient(
        text={
            "status": "generated",
            "div": f"<div {XHTML} lang=\"tr\"><p class='a'>x &lt; y<br></br><br/>&#160;</p></div>",
        }
    ),
    "narrative-comment": patient(text={"status": "empty", "div": f"<div {XHTML}><!-- a > b -->\r\n a/></div >"}),
    "narrative-empty": patient(text={"status": "empty", "div": f"<div {XHTML}/>"}),
    "narrative-nested": patient(text={"status": "empty", "div": f"<div {XHTML}><div><div/></div>&amp;</div>"}),
    "narrative-prefixed": patient(
        text={"status": "empty", "div": '<h:div xmlns:h="http://www.w3.org/1999/xhtml"><h:p>a</h:p></h:div>'}
    ),
    "contained": observation(
        contained=[patient(id="a", active=True), observation(id="b", valueBoolean=False)], subject={"reference": "#a"}
    ),
    "bundle-in-bundle": bundle(patient(id="1"), bundle(bundle(observation(valueInteger=7)), patient(id="2"))),
    "bundle-outcome": {
        "resourceType": "Bundle",
        "type": "batch-response",
        "entry": [{"response": {"status": "400", "outcome": {"resourceType": "OperationOutcome", "id": "o"}}}],
    },
    "parameters": {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "a",
                "part": [{"name": "b", "valueDecimal": Decimal("0.10")}, {"name": "c", "resource": patient()}],
            }
        ],
    },
    "content-reference": {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "1.1", "type": "group", "item": []}]}],
    },
    "element-of-its-own": {
        "resourceType": "MedicationStatement",
        "dosage": [{"timing": {"event": ["2020"], "repeat": {"count": 1, "boundsRange": {"low": {"value": 1}}}}}],
    },
    "base64": {"resourceType": "Binary", "contentType": "text/plain", "data": "QUJD\nREVG"},
}
TRICKY["content-reference"]["item"][0]["item"][0]["item"] = [{"linkId": "1.1.1", "type": "display"}]


@pytest.mark.parametrize("name", TRICKY)
def test_round_trip_of_tricky_resources(name: str, definitions: Definitions) -> None:
    assert round_trip(TRICKY[name], definitions) == exact(TRICKY[name])


@pytest.mark.parametrize(
    "digits", ["1.00", "1e-2", "1E+2", "1.10e05", "0.000", "-0.0", "-1", "100", "1" * 30, "0." + "1" * 40, "1e400"]
)
def test_round_trip_of_decimals(digits: str, definitions: Definitions) -> None:
    resource = decode(encode(observation(valueQuantity={"value": 7})).replace(b"7", digits.encode()))
    body = to_xml(resource, definitions)
    assert f'<value value="{digits}"/>'.encode() in body
    assert round_trip(resource, definitions) == exact(resource)
    assert digits.encode() in encode(from_xml(body, definitions, DEPTH))


@pytest.mark.parametrize("name", KNOWN)
def test_write_known_resource(name: str, definitions: Definitions) -> None:
    text, resource = KNOWN[name]
    assert to_xml(resource, definitions).decode() == (DECLARATION + text).replace("<Patient/>", "<Patient></Patient>")


@pytest.mark.parametrize("name", KNOWN)
def test_read_known_document(name: str, definitions: Definitions) -> None:
    text, resource = KNOWN[name]
    assert exact(from_xml(text.encode(), definitions, DEPTH)) == exact(resource)


def test_read_written_otherwise(definitions: Definitions) -> None:
    """A byte order mark, comments, instructions, prefixes, quotes, indentation and CDATA change nothing."""
    text = (
        "\ufeff<?xml version='1.0' encoding='utf-8'?>\n<!-- a --><?x y?>\n"
        "<f:Patient xmlns:f='http://hl7.org/fhir' xmlns:h='http://www.w3.org/1999/xhtml'>\r\n  <f:text>\n"
        "    <f:status value='empty'></f:status><h:div><h:p title='&lt;ş'><![CDATA[a&b]]></h:p><h:br/></h:div>\n"
        "  </f:text>\t<!-- b -->\n"
        "  <active xmlns='http://hl7.org/fhir' value=' true '/><f:gender value=' other'/>\n"
        "</f:Patient>\n<!-- c -->"
    )
    expected = patient(
        text={"status": "empty", "div": f'<div {XHTML}><p title="&lt;ş">a&amp;b</p><br /></div>'},
        active=True,
        gender="other",
    )
    assert from_xml(text.encode(), definitions, DEPTH) == expected


def test_read_narrative_of_a_prefix_like_its_parent(definitions: Definitions) -> None:
    text = '<d:Patient xmlns:d="http://hl7.org/fhir" xmlns:div="http://www.w3.org/1999/xhtml"><d:text><div:div/></d:text></d:Patient>'
    assert from_xml(text.encode(), definitions, DEPTH)["text"] == {"div": f"<div {XHTML} />"}


def test_write_html_entities_as_numbers(definitions: Definitions) -> None:
    resource = patient(text={"status": "empty", "div": f" <div {XHTML}>a&nbsp;&amp;</div>\n"})
    assert (
        from_xml(to_xml(resource, definitions), definitions, DEPTH)["text"]["div"] == f"<div {XHTML}>a&#160;&amp;</div>"
    )


def test_bundle_of_hundred_entries_goes_both_ways(definitions: Definitions) -> None:
    examples = [decode(path.read_bytes()) for path in sorted(shipped(*OWN_RESOURCES).glob("*-example-*.json"))]
    large = bundle(*(examples * (100 // len(examples) + 1))[:100])
    body = to_xml(large, definitions)
    assert len(body) > 50_000
    assert len(from_xml(body, definitions, DEPTH)["entry"]) == 100
