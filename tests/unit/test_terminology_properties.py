"""What holds for every value set and code system at hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.conformance.concepts import value_set
from service.conformance.definitions import Definitions
from service.conformance.terminology.composition import Composer
from service.conformance.terminology.expansion import Wanted, expanded
from service.conformance.terminology.gaps import Unanswerable
from service.conformance.terminology.sources import Sources
from service.conformance.terminology.systems import System
from service.conformance.terminology.validation import Checker, Coded

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
UCUM = "http://unitsofmeasure.org"
PARTLY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@pytest.fixture(scope="module")
def sources(definitions: Definitions) -> Sources:
    return Sources(definitions)


def urls(definitions: Definitions, kind: str) -> list[str]:
    """The canonicals of what the package has of a kind."""
    return sorted(getattr(definitions._package, kind))


def test_every_code_of_every_expansion_is_in_its_value_set(definitions: Definitions, sources: Sources) -> None:
    """The walk for one code and the list of all agree; what cannot be listed says why."""
    composer, listed, refused, reasons = Composer(sources), 0, 0, set()
    for url in urls(definitions, "value_sets"):
        record = definitions.value_set(url)
        assert record is not None
        try:
            entries = composer.entries(record)
        except Unanswerable as gap:
            reasons |= {issue.code for issue in gap.issues}
            refused += 1
            continue
        listed += 1
        for system, code in list(entries)[:40]:
            assert composer.holds(record, system, code) is True, (url, code)
        assert composer.holds(record, "http://nowhere.example", "x") is False, url
        assert not any(composer.holds(record, system, "no such code") is True for system in {s for s, _ in entries})
    assert reasons == {"not-supported", "too-costly"}
    assert listed > 1100
    assert 50 < refused < 200


def test_every_code_that_expand_shows_validates_with_its_display(definitions: Definitions, sources: Sources) -> None:
    for url in urls(definitions, "value_sets")[::7]:
        record = definitions.value_set(url)
        assert record is not None
        try:
            shown = expanded(sources, record, Wanted(count=10)).get("contains", [])
        except Unanswerable:
            continue
        for one in shown:
            checker = Checker(sources, abstract=one.get("abstract", False))
            coded = Coded(one.get("system", ""), one["code"], one.get("version", ""), one.get("display", ""))
            answer = checker.in_value_set(record, [coded])
            assert answer.result, (url, one, answer.message)


def test_hierarchies_have_no_circles(definitions: Definitions) -> None:
    for url in urls(definitions, "code_systems"):
        record = definitions.code_system(url)
        if record is None:  # six of version 2 have a version in their canonical, and nothing refers to them so
            assert "|" in url
            continue
        system = System(record)
        for parent in {parent for parent, _ in record.edges}:
            assert parent not in {code for child in system.children(parent) for code in {child, *system.below(child)}}


@PARTLY
@given(data=st.data())
def test_subsumption_is_a_partial_order(sources: Sources, data: st.DataObject) -> None:
    system = sources.system(data.draw(st.sampled_from([ACT, CLINICAL, f"{ACT[:-7]}RoleCode"])))
    assert isinstance(system, System)
    codes = st.sampled_from(list(system.displays))
    near = codes.flatmap(lambda code: st.sampled_from(sorted({code, *system.below(code), *system.above(code)})))
    one, other, third = data.draw(codes), data.draw(near), data.draw(near)
    mirrored = {"subsumes": "subsumed-by", "subsumed-by": "subsumes"}
    found = system.subsumption(one, other)
    assert isinstance(found, str)
    assert system.subsumption(one, one) == "equivalent"
    assert system.subsumption(other, one) == mirrored.get(found, found)
    assert (found == "equivalent") is (one == other)
    assert (found == "subsumes") is (other in system.below(one))
    if found == "subsumes" and system.subsumption(other, third) in ("subsumes", "equivalent"):
        assert system.subsumption(one, third) == "subsumes"


@PARTLY
@given(count=st.integers(3, 90), text=st.sampled_from(["", "a", "en", "health care"]), active=st.booleans())
def test_pages_put_together_are_the_whole(sources: Sources, count: int, text: str, active: bool) -> None:
    record = sources.value_set("http://terminology.hl7.org/ValueSet/v3-ActCode")
    assert not isinstance(record, Unanswerable)
    whole = expanded(sources, record, Wanted(text, active_only=active))
    paged: list[dict[str, Any]] = []
    while len(paged) < whole["total"]:
        page = expanded(sources, record, Wanted(text, len(paged), count, active_only=active))
        assert (page["total"], page["offset"]) == (whole["total"], len(paged))
        assert 0 < len(page["contains"]) <= count
        paged += page["contains"]
    assert paged == whole.get("contains", [])


parts = st.lists(
    st.sampled_from(
        [
            {"system": CLINICAL},
            {"system": CLINICAL, "concept": [{"code": "active"}, {"code": "relapse"}]},
            {"system": CLINICAL, "filter": [{"property": "concept", "op": "is-a", "value": "active"}]},
            {"system": CLINICAL, "filter": [{"property": "concept", "op": "descendent-of", "value": "inactive"}]},
            {"valueSet": ["http://hl7.org/fhir/ValueSet/condition-clinical"]},
            {"system": CLINICAL, "valueSet": ["http://hl7.org/fhir/ValueSet/observation-status"]},
            {"system": UCUM},
            {"system": "http://snomed.info/sct"},
            {"valueSet": ["http://hl7.org/fhir/ValueSet/nothing"]},
        ]
    ),
    max_size=3,
)
CODES = [(CLINICAL, code) for code in ("active", "recurrence", "relapse", "inactive", "resolved", "banana")]


@PARTLY
@given(include=parts.filter(bool), exclude=parts)
def test_one_code_and_all_codes_never_contradict_each_other(sources: Sources, include: list, exclude: list) -> None:
    """Whatever is included and excluded: where there is a list, it decides; a gap never hides behind a no."""
    record = value_set({"compose": {"include": include, "exclude": exclude}})
    composer = Composer(sources)
    answers = {key: composer.holds(record, *key) for key in [*CODES, (UCUM, "mg"), (UCUM, "mgs")]}
    try:
        entries = composer.entries(record)
    except Unanswerable:
        open_ended = [one for one in (*include, *exclude) if "concept" not in one and one.get("system") != CLINICAL]
        assert open_ended
    else:
        assert {key for key, answer in answers.items() if answer is True} == entries.keys() & answers.keys()
    without = composer.holds(value_set({"compose": {"include": include}}), *CODES[0])
    if without is False:
        assert answers[CODES[0]] is False
    if exclude and composer.holds(value_set({"compose": {"include": exclude}}), *CODES[0]) is True:
        assert answers[CODES[0]] is False or isinstance(without, Unanswerable)


def test_a_value_set_that_asks_for_too_much_work_is_too_costly(sources: Sources) -> None:
    dcm = {"system": "http://dicom.nema.org/resources/ontology/DCM"}
    record = value_set({"compose": {"include": [dcm] * 1000}})
    with pytest.raises(Unanswerable) as caught:
        expanded(sources, record, Wanted(count=1))
    assert {issue.code for issue in caught.value.issues} == {"too-costly"}
    below = {"system": ACT, "filter": [{"property": "concept", "op": "is-a", "value": "_ActCode"}]}
    with pytest.raises(Unanswerable):
        Checker(sources).in_value_set(value_set({"compose": {"include": [below] * 2000}}), [Coded(ACT, "AMB")])


def test_records_of_what_extensions_stand_in_for_do_not_fail(sources: Sources) -> None:
    absent = {"_code": {"extension": [{"url": "http://x.example", "valueCode": "unknown"}]}}
    record = value_set({"compose": {"include": [{"system": CLINICAL, "concept": [absent, {"code": "active"}]}]}})
    assert list(Composer(sources).entries(record)) == [(CLINICAL, "active")]


@pytest.mark.parametrize(
    ("system", "good", "bad"),
    [
        (
            "urn:ietf:bcp:47",
            "en de-CH sr-Latn-RS es-419 de-CH-1996 x-own i-klingon zh-min-nan en-a-bbb-x-a sl-rozaj-biske-1994 qaa",
            "english-language-text e en_US -en en- x en--US a-DE de-419-DE en-a",
        ),
        (
            "urn:ietf:bcp:13",
            "text/plain application/fhir+json image/svg+xml application/vnd.ms-excel.sheet text/plain;charset=UTF-8",
            "text text/ /plain text/plain; text/plain;charset text//plain te\tst/plain",
        ),
    ],
)
def test_grammars_of_languages_and_media_types(sources: Sources, system: str, good: str, bad: str) -> None:
    assert [code for code in good.split(" ") if sources.defines(system, code) is not True] == []
    assert [code for code in bad.split(" ") if sources.defines(system, code) is not False] == []
    assert sources.defines(system, "a-" * 5000) is False
    assert sources.defines(system, "text/plain" + ';a="\\' * 5000) is False


def test_versions_at_hand_are_taken_and_others_are_gaps(definitions: Definitions, sources: Sources) -> None:
    named = [
        (url, record.version)
        for url in urls(definitions, "value_sets")
        if (record := definitions.value_set(url)) and record.version
    ]
    assert len(named) > 1000
    for (url, version), (_, other) in pairwise(named[:200]):
        assert not isinstance(sources.value_set(f"{url}|{version}"), Unanswerable)
        found = sources.value_set(f"{url}|{other}.9")
        assert isinstance(found, Unanswerable)
        assert f"{other}.9" in found.issues[0].text
