"""What codes say, how they stand to one another and what they are elsewhere.

$lookup, $subsumes, $translate and CodeSystem/$validate-code.
"""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from terminology_client import Service

OWN = "https://cart-fhir.example/fhir"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
UCUM = "http://unitsofmeasure.org"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def service(client: httpx.AsyncClient, application: FastAPI) -> Service:
    return Service(client, application.state.server.validator)


async def test_lookup_says_what_the_code_system_says(service: Service) -> None:
    found = await service.get("/CodeSystem/$lookup", system=CLINICAL, code="active")
    assert (found["name"], found["version"], found["display"]) == (
        ["Condition Clinical Status Codes"], ["4.0.1"], ["Active"],
    )  # fmt: skip
    told = [(one["code"][0], one["value"][0]) for one in found["property"]]
    assert told[0][0] == "definition"
    assert told[1:] == [("child", "recurrence"), ("child", "relapse")]
    only = await service.get("/CodeSystem/$lookup", system=CLINICAL, code="relapse", property="parent")
    assert only["property"] == [{"code": ["parent"], "value": ["active"], "description": ["Active"]}]
    coding = {"name": "coding", "valueCoding": {"system": CLINICAL, "code": "relapse"}}
    assert (await service.post("/CodeSystem/$lookup", coding))["display"] == ["Relapse"]


async def test_lookup_designations_and_language(service: Service) -> None:
    system = "http://terminology.hl7.org/CodeSystem/v2-0001"
    found = await service.get("/CodeSystem/$lookup", system=system, code="F")
    german = [one["value"][0] for one in found["designation"] if one["language"] == ["de"]]
    shown = await service.get("/CodeSystem/$lookup", system=system, code="F", displayLanguage="de")
    assert shown["display"] == german
    only = await service.get("/CodeSystem/$lookup", system=system, code="F", property="lang.de")
    assert [one["language"] for one in only["designation"]] == [["de"]]


async def test_lookup_of_a_unit_names_its_canonical_one(service: Service) -> None:
    found = await service.get("/CodeSystem/$lookup", system=UCUM, code="mg/dL")
    assert found["property"] == [{"code": ["canonical"], "value": ["g.m-3"]}]
    assert found["display"] == ["mg/dL"]
    logarithm = await service.get("/CodeSystem/$lookup", system=UCUM, code="[pH]")
    assert "property" not in logarithm


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"system": CLINICAL, "code": "banana"}, 404, "not-found"),
        ({"system": UCUM, "code": "NG/ML"}, 404, "not-found"),
        ({"system": "http://loinc.org", "code": "2276-4"}, 404, "not-supported"),
        ({"system": "http://snomed.info/sct", "code": "1"}, 422, "not-supported"),
        ({"system": CLINICAL, "code": "active", "version": "1"}, 404, "not-supported"),
        ({"code": "active"}, 400, "required"),
        ({"system": CLINICAL}, 400, "required"),
        ({"system": CLINICAL, "code": "active", "date": "2020"}, 400, "not-supported"),
        ({"coding": f"{CLINICAL}|active"}, 400, "invalid"),
    ],
)
async def test_lookup_refuses(service: Service, query: dict[str, str], status: int, code: str) -> None:
    assert (await service.refused("/CodeSystem/$lookup", **query))[:2] == (status, code)


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        ("active", "active", "equivalent"),
        ("active", "relapse", "subsumes"),
        ("relapse", "active", "subsumed-by"),
        ("relapse", "resolved", "not-subsumed"),
    ],
)
async def test_subsumes(service: Service, one: str, other: str, outcome: str) -> None:
    found = await service.get("/CodeSystem/$subsumes", system=CLINICAL, codeA=one, codeB=other)
    assert found["outcome"] == [outcome]
    coded = [
        {"name": f"coding{letter}", "valueCoding": {"system": CLINICAL, "code": code}}
        for letter, code in (("A", one), ("B", other))
    ]
    assert (await service.post("/CodeSystem/$subsumes", *coded))["outcome"] == [outcome]


async def test_subsumes_refuses(service: Service) -> None:
    address = "/CodeSystem/$subsumes"
    pair = {"codeA": "active", "codeB": "banana"}
    assert (await service.refused(address, system=CLINICAL, **pair))[:2] == (404, "not-found")
    assert (await service.refused(address, system="http://loinc.org", **pair))[:2] == (404, "not-supported")
    assert (await service.refused(address, **pair))[:2] == (400, "required")
    assert (await service.refused(address, system=CLINICAL, codeA="active"))[:2] == (400, "required")
    assert (await service.refused(address, system=UCUM, codeA="mg", codeB="g"))[:2] == (422, "not-supported")
    two = [
        {"name": "codingA", "valueCoding": {"system": CLINICAL, "code": "active"}},
        {"name": "codingB", "valueCoding": {"system": UCUM, "code": "g"}},
    ]
    assert (await service.refused(address, *two))[:2] == (422, "not-supported")


async def test_translate_by_url_and_over_all_maps(service: Service) -> None:
    address, own = "/ConceptMap/$translate", f"{OWN}/CodeSystem/published-term"
    one = await service.get(address, url=f"{OWN}/ConceptMap/sex", system=own, code="F")
    gender = {"system": "http://hl7.org/fhir/administrative-gender", "code": "female", "display": "Female"}
    assert one["result"] == [True]
    assert one["match"] == [
        {"equivalence": ["equivalent"], "concept": [gender], "source": [f"{OWN}/ConceptMap/sex|0.1.0"]}
    ]
    every = await service.get(address, system="http://hl7.org/fhir/address-use", code="home")
    assert len({match["source"][0] for match in every["match"]}) == 3
    narrowed = await service.get(
        address, system="http://hl7.org/fhir/address-use", code="home", target="http://terminology.hl7.org/ValueSet/v2-0190"
    )  # fmt: skip
    assert [match["concept"][0]["code"] for match in narrowed["match"]] == ["H"]


async def test_translate_in_reverse(service: Service) -> None:
    found = await service.get(
        "/ConceptMap/$translate", system="http://hl7.org/fhir/administrative-gender", code="male", reverse="true"
    )
    assert {"system": f"{OWN}/CodeSystem/published-term", "code": "M"} in [one["concept"][0] for one in found["match"]]
    sent = {
        "resourceType": "ConceptMap",
        "status": "draft",
        "group": [
            {
                "source": "http://a.example",
                "target": "http://b.example",
                "element": [{"code": "x", "target": [{"code": "y", "equivalence": "wider"}]}],
            }
        ],
    }
    parts_ = [
        {"name": "conceptMap", "resource": sent},
        {"name": "coding", "valueCoding": {"system": "http://b.example", "code": "y"}},
        {"name": "reverse", "valueBoolean": True},
    ]
    (match,) = (await service.post("/ConceptMap/$translate", *parts_))["match"]
    assert match == {"equivalence": ["narrower"], "concept": [{"system": "http://a.example", "code": "x"}]}


async def test_translate_unmatched_is_a_no_with_the_reason(service: Service) -> None:
    query = {"system": f"{OWN}/CodeSystem/published-term", "code": "No"}
    found = await service.get("/ConceptMap/$translate", url=f"{OWN}/ConceptMap/bridging", **query)
    assert found["result"] == [False]
    assert found["match"][0]["equivalence"] == ["unmatched"]
    assert "concept" not in found["match"][0]
    assert "no bridging" in found["message"][0]


async def test_translate_with_dependencies_products_and_defaults(service: Service) -> None:
    dependent = {
        "code": "y",
        "equivalence": "equivalent",
        "dependsOn": [{"property": "http://x.example/site", "value": "left"}],
        "product": [{"property": "http://x.example/side", "system": "http://s.example", "value": "l"}],
    }
    group = {
        "source": "http://a.example",
        "target": "http://b.example",
        "element": [{"code": "x", "target": [dependent]}],
        "unmapped": {"mode": "fixed", "code": "other", "display": "Other"},
    }
    part = {"name": "conceptMap", "resource": {"resourceType": "ConceptMap", "status": "draft", "group": [group]}}
    coding = {"name": "coding", "valueCoding": {"system": "http://a.example", "code": "x"}}
    address = "/ConceptMap/$translate"
    without = await service.post(address, part, coding)
    assert (without["result"], "http://x.example/site" in without["message"][0]) == ([False], True)
    site = {
        "name": "dependency",
        "part": [
            {"name": "element", "valueUri": "http://x.example/site"},
            {"name": "concept", "valueCodeableConcept": {"text": "left"}},
        ],
    }
    found = await service.post(address, part, coding, site)
    assert found["match"][0]["concept"] == [{"system": "http://b.example", "code": "y"}]
    assert found["match"][0]["product"] == [
        {"element": ["http://x.example/side"], "concept": [{"system": "http://s.example", "code": "l"}]}
    ]
    coding["valueCoding"] = {"system": "http://a.example", "code": "elsewhere"}
    (default,) = (await service.post(address, part, coding))["match"]
    assert (default["concept"][0]["code"], default["equivalence"]) == ("other", ["relatedto"])


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"url": f"{OWN}/ConceptMap/nothing", "system": CLINICAL, "code": "a"}, 404, "not-supported"),
        ({"url": f"{OWN}/ConceptMap/sex|9", "system": CLINICAL, "code": "a"}, 404, "not-supported"),
        ({"system": "http://loinc.org", "code": "2276-4"}, 422, "not-supported"),
        ({"system": CLINICAL, "code": "a", "source": "http://nowhere.example"}, 422, "not-supported"),
        ({"code": "a"}, 400, "required"),
        ({"system": CLINICAL}, 400, "required"),
    ],
)
async def test_translate_refuses(service: Service, query: dict[str, str], status: int, code: str) -> None:
    assert (await service.refused("/ConceptMap/$translate", **query))[:2] == (status, code)


@pytest.mark.parametrize(
    ("system", "code", "result", "message"),
    [
        (UCUM, "10*6/kg", True, None),
        (UCUM, "ng/mL", True, None),
        (UCUM, "ng/ml", True, "ng/mL is the same unit"),
        (UCUM, "NG/ML", False, "did you mean ng/mL?"),
        (UCUM, "iu/L", False, "did you mean [IU]/L?"),
        ("urn:ietf:bcp:47", "de-CH", True, None),
        ("urn:ietf:bcp:47", "x", False, "RFC 5646"),
        ("urn:ietf:bcp:13", "text/plain; charset=UTF-8", True, None),
        ("urn:ietf:bcp:13", "plain text", False, "RFC 6838"),
        (CLINICAL, "relapse", True, None),
        (CLINICAL, "Relapse", False, "not defined"),
    ],
)
async def test_validate_code_in_a_code_system(
    service: Service, system: str, code: str, result: bool, message: str | None
) -> None:
    found = await service.get("/CodeSystem/$validate-code", url=system, code=code)
    assert found["result"] == [result]
    assert (message in found["message"][0]) if message else "message" not in found


async def test_validate_code_in_a_system_that_is_not_at_hand(service: Service) -> None:
    address = "/CodeSystem/$validate-code"
    assert await service.refused(address, url="http://loinc.org", code="2276-4") == (
        404, "not-supported", "The code system http://loinc.org is not at hand",
    )  # fmt: skip
    part = await service.refused(address, url="http://terminology.hl7.org/CodeSystem/program", code="zzz")
    assert (part[:2], "only in part" in part[2]) == ((422, "not-supported"), True)
    known = await service.get(address, url="http://terminology.hl7.org/CodeSystem/program", code="1")
    assert known["result"] == [True]
    assert (await service.refused(address, url=f"{CLINICAL}|9", code="relapse"))[:2] == (404, "not-supported")
    sent = {"resourceType": "CodeSystem", "status": "draft", "content": "complete", "concept": [{"code": "a"}]}
    for code, result in (("a", True), ("b", False)):
        part_ = [{"name": "codeSystem", "resource": sent}, {"name": "code", "valueCode": code}]
        assert (await service.post(address, *part_))["result"] == [result]
