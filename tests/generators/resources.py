"""Resources that are valid in R4, made at random from the snapshots: every type, every element, bounded in depth.

Cardinality, choices, bindings, targets and the syntax of primitives come from the definitions, invariants from
`invariants`. Every resource type of R4 is made. Not made, because what they ask for is a whole of its own:

- modifierExtension: an unknown one is refused, and R4 defines hardly any
- StructureDefinition.snapshot: sdf-3 and sdf-8 ask for a snapshot that agrees with the type
- the details of ElementDefinition: eld-1 to eld-22 bind them to each other
- the requests of TestScript: tst-5 to tst-13 bind them to each other
- CareTeam.participant.onBehalfOf, ImplementationGuide.definition.resource.groupingId and fhirVersion: they name others
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import Any

from hypothesis import strategies as st

from service.conformance.definitions import Definitions
from service.conformance.records import CORE, Element, TypeRef
from service.conformance.terminology import Terminology
from service.conformance.validator.shapes import ID, Shape, Shapes, capitalised
from tests.generators.invariants import repair
from tests.generators.values import MAKERS, WORDS

Json = Any
ABSENT = {"url": CORE + "data-absent-reason", "valueCode": "unknown"}
# Bindings to systems that are grammars, not lists: (system, code).
GRAMMARS = {
    "mimetypes": ("urn:ietf:bcp:13", "text/plain"),
    "bcp13.txt": ("urn:ietf:bcp:13", "text/cql"),
    "all-languages": ("urn:ietf:bcp:47", "tr-TR"),
    "ucum-units": ("http://unitsofmeasure.org", "mg"),
    "currencies": ("urn:iso:std:iso:4217", "TRY"),
    "timezones": ("https://www.iana.org/time-zones", "Europe/Istanbul"),
}
NEVER = frozenset({"modifierExtension", "contained", "StructureDefinition.snapshot", "CareTeam.participant.onBehalfOf"})
SMALL = ("Basic", "Patient", "Binary", "OperationOutcome")
VALUES = ("string", "code", "boolean", "decimal", "Quantity", "Period", "CodeableConcept", "Identifier", "dateTime")
DENSITIES = (0.0, 0.1, 0.3, 0.6)
_DEPTH = 4


class Builder:
    """Makes resources; `density` is how likely an optional element of the resource itself is made."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.shapes = Shapes(definitions)
        self.terminology = Terminology(definitions)
        self.types = sorted(definitions.resource_types)

    def resource(self, type_: str, random: Random, density: float = 0.2, depth: int = _DEPTH) -> dict[str, Json]:
        """A valid resource of the type."""
        shape = self.shapes.of_type(type_)
        assert shape is not None
        made = {"resourceType": type_, **self._children(shape, random, density, depth)}
        if "contained" in shape.children and random.random() < density / 2:
            self._contain(made, random)
        repair(type_, made, random)
        distinct_ids(made)
        return made

    def _contain(self, made: dict[str, Json], random: Random) -> None:
        """A contained resource, and an extension that refers to it."""
        inner = self.resource(random.choice(("Basic", "Patient", "Organization")), random, 0.1, 1)
        inner.pop("contained", None)
        inner.pop("meta", None)
        inner["id"] = "inner"
        made["contained"] = [inner]
        made.setdefault("extension", []).append(
            {"url": "http://x.example/inner", "valueReference": {"reference": "#inner"}}
        )

    def _children(self, shape: Shape, random: Random, density: float, depth: int) -> dict[str, Json]:
        made: dict[str, Json] = {}
        for name, element in shape.children.items():
            if element.max == "0" or name in NEVER or element.path in NEVER:
                continue
            likely = density / 8 if name in ("id", "extension", "implicitRules") else density
            if element.min or (depth > 0 and random.random() < likely):
                self.add(made, shape, name, element, random, density, depth)
        repair(shape.path, made, random)
        return made

    def add(
        self,
        made: dict[str, Json],
        shape: Shape,
        name: str,
        element: Element,
        random: Random,
        density: float,
        depth: int,
    ) -> None:
        """The element with one value, or some where it repeats; now and then with what stands beside a primitive."""
        reference = random.choice(element.types) if element.types else None
        if name == "id" and shape.structure.kind == "resource" and shape.path == shape.structure.type:
            reference = ID
        key = name[:-3] + capitalised(reference.code) if name.endswith("[x]") and reference else name
        one = lambda: self.value(shape, element, reference, random, density, depth)  # noqa: E731
        if element.max == "1":
            made[key] = one()
        else:
            most = 3 if element.max == "*" else int(element.max or 1)
            made[key] = [one() for _ in range(random.randint(max(1, element.min or 0), max(most, element.min or 0)))]
        if reference is not None and reference.code in MAKERS and name not in ("id", "url", "div"):
            _beside(made, key, bool(element.min) or "reference" in key, random, density)

    def value(
        self,
        shape: Shape,
        element: Element,
        reference: TypeRef | None,
        random: Random,
        density: float = 0.1,
        depth: int = 1,
    ) -> Json:
        """One value of the element, of the given type."""
        code = reference.code if reference else ""
        bound = self._bound(element, code, random)
        if bound is not None:
            return bound
        if code in MAKERS:
            return MAKERS[code](random)
        if code == "Reference" and reference is not None:
            return self.reference(reference, random)
        if code == "Extension":
            return self._extension(random, depth)
        if code == "Resource" or code in self.definitions.resource_types:
            return self.resource(code if code != "Resource" else random.choice(SMALL), random, 0.05, 1)
        below = self.shapes.below(shape, element, reference)
        assert below is not None
        inner = self._children(below, random, density * 0.7, depth - 1)
        if not inner.keys() - {"id"}:
            self._fill(inner, below, random)
        if reference is not None and any("Quantity" in url for url in reference.profiles):
            inner.pop("comparator", None)
            inner.pop("_comparator", None)
            inner.setdefault("value", 1)
        return inner

    def _fill(self, inner: dict[str, Json], shape: Shape, random: Random) -> None:
        """One element where none is mandatory, because none may be empty; a primitive if there is one."""
        optional = [
            (name, element)
            for name, element in shape.children.items()
            if name not in ("id", "extension", "modifierExtension") and element.types and element.max != "0"
        ]
        plain = [(name, element) for name, element in optional if element.types[0].code in MAKERS]
        name, element = random.choice(plain or optional)
        self.add(inner, shape, name, element, random, 0.0, 0)
        repair(shape.path, inner, random)

    def _bound(self, element: Element, code: str, random: Random) -> Json:
        """A value of a required binding, or of the widest that an element takes; None where it has neither."""
        required = element.binding is not None and element.binding[0] == "required"
        url = element.binding[1] if required and element.binding else element.max_value_set
        if not url:
            return None
        expansion = self.terminology.expand(url)
        if expansion:
            system = random.choice(sorted(expansion))
            chosen = random.choice(sorted(expansion[system])) if expansion[system] else None
        else:
            system, chosen = GRAMMARS.get(url.rpartition("/")[2], ("", None))
        coding = {"system": system, "code": chosen}
        if chosen is None or code not in ("code", "string", "uri", "Coding", "CodeableConcept", "Quantity"):
            return None
        return {"Coding": coding, "CodeableConcept": {"coding": [coding]}, "Quantity": {"value": 1, **coding}}.get(
            code, chosen
        )

    def reference(self, reference: TypeRef, random: Random) -> dict[str, Json]:
        """A reference of any form to one of the types allowed."""
        targets = [url.removeprefix(CORE) for url in reference.targets]
        target = random.choice(targets) if targets and "Resource" not in targets else random.choice(self.types)
        return random.choice(
            (
                {"reference": f"{target}/1"},
                {"reference": f"{target}/a-b/_history/2", "type": target},
                {"reference": f"https://ehr.example/fhir/{target}/1", "display": "x"},
                {"reference": "urn:uuid:6f9e0d9c-0b4d-4f0e-8a51-1f7e0f7f4a3b"},
                {"reference": f"{target}?identifier=http://x.example|1"},
                {"type": target, "identifier": {"system": "http://x.example/s", "value": "1"}},
                {"display": "x"},
                {"_reference": {"extension": [dict(ABSENT)]}},
            )
        )

    def _extension(self, random: Random, depth: int) -> dict[str, Json]:
        url = random.choice(("http://unknown.example/e", "urn:x:e", "local"))
        if depth > 1 and random.random() < 0.3:
            return {"url": url, "extension": [self._extension(random, depth - 2)]}
        code = random.choice(VALUES)
        shape = self.shapes.of_type("Extension")
        assert shape is not None
        element = shape.children["value[x]"]
        reference = next(one for one in element.types if one.code == code)
        return {"url": url, f"value{capitalised(code)}": self.value(shape, element, reference, random, 0.1, 1)}


def _beside(made: dict[str, Json], key: str, needed: bool, random: Random, density: float) -> None:
    """An id or extensions beside the value or, where it is not needed, in its place."""
    if random.random() >= density / 6:
        return
    absent = {"extension": [dict(ABSENT)]}
    if isinstance(made[key], list):
        place = random.randrange(len(made[key]))
        made[f"_{key}"] = [absent if index == place else None for index in range(len(made[key]))]
        if random.random() < 0.5 and not needed:
            made[key][place] = None
    elif needed or random.random() < 0.5:
        made[f"_{key}"] = random.choice(({"id": "x"}, {"extension": [{"url": "urn:x:e", "valueString": WORDS[1]}]}))
    else:
        del made[key]
        made[f"_{key}"] = absent


def distinct_ids(resource: dict[str, Json]) -> None:
    """Each element's id stands once; the resources inside count by themselves."""
    seen: set[str] = set()
    inner = resource["resourceType"] != "ExampleScenario"  # whose instances have a resourceType and are elements
    todo: list[Json] = [part for name, part in resource.items() if name not in ("id", "contained")]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo.extend(part)
        elif isinstance(part, dict) and not (inner and "resourceType" in part):
            if "id" in part and part["id"] in seen:
                part["id"] = f"{part['id']}-{len(seen)}"
            seen.add(part.get("id", ""))
            todo.extend(part.values())


builder_of = lru_cache(maxsize=4)(Builder)


def resources(definitions: Definitions, type_: str) -> st.SearchStrategy[dict[str, Json]]:
    """Valid resources of the type; a failing one shrinks towards its mandatory elements."""
    builder = builder_of(definitions)
    return st.builds(
        lambda density, seed: builder.resource(type_, Random(seed), density),
        st.sampled_from(DENSITIES),
        st.integers(0, 2**32 - 1),
    )
