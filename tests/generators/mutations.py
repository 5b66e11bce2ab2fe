"""Single changes of a valid resource, each of which breaks one rule of R4 at a place that is known.

`mutations(builder, resource)` lists them; each is applied to a copy of its own. Places are FHIRPath expressions as the
validator gives them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from service.conformance.records import CORE, Element, TypeRef
from service.conformance.validator.shapes import ID, Shape, capitalised
from tests.generators.resources import Builder
from tests.generators.values import MAKERS, WRONG

Json = Any
Way = tuple[str | int, ...]
PARTS = ("extension", "modifierExtension")


@dataclass(frozen=True)
class Mutation:
    """`kind` of change at `expression`; `change` gets the object around it and a name or index."""

    kind: str
    expression: str
    way: Way
    change: Callable[[dict[str, Json]], None]

    def applied(self, resource: dict[str, Json]) -> dict[str, Json]:
        """A changed copy."""
        changed = copy.deepcopy(resource)
        holder: Json = changed
        for step in self.way:
            holder = holder[step]
        self.change(holder)
        return changed


@dataclass(frozen=True)
class Site:
    """An object of the resource: its shape, its way from the root and its expression."""

    value: dict[str, Json]
    shape: Shape
    way: Way
    expression: str


@dataclass(frozen=True)
class Field:
    """A child that is there: its JSON name, definition and type."""

    name: str
    element: Element
    reference: TypeRef | None

    @property
    def code(self) -> str:
        """The type."""
        return self.reference.code if self.reference else ""


def fields(site: Site) -> Iterator[Field]:
    """The children of an object that are there."""
    for name, element in site.shape.children.items():
        for reference in element.types or (None,):
            key = name[:-3] + capitalised(reference.code) if name.endswith("[x]") and reference else name
            if key in site.value:
                root = name == "id" and site.shape.structure.kind == "resource" and not site.way
                yield Field(key, element, ID if root else reference)


def sites(builder: Builder, resource: dict[str, Json]) -> Iterator[Site]:
    """Every object of the resource."""
    shape = builder.shapes.of_type(resource["resourceType"])
    assert shape is not None
    yield from _sites(builder, Site(resource, shape, (), resource["resourceType"]))


def _sites(builder: Builder, site: Site) -> Iterator[Site]:
    yield site
    for field in fields(site):
        child = site.value[field.name]
        for index, value in enumerate(child) if isinstance(child, list) else [(None, child)]:
            if not isinstance(value, dict):
                continue
            if field.code == "Resource":
                shape = builder.shapes.of_type(value["resourceType"])
            else:
                shape = builder.shapes.below(site.shape, field.element, field.reference)
            step: Way = (field.name,) if index is None else (field.name, index)
            place = f".{field.name}" if index is None else f".{field.name}[{index}]"
            if shape is not None:
                yield from _sites(builder, Site(value, shape, (*site.way, *step), site.expression + place))


def mutations(builder: Builder, resource: dict[str, Json], random: Random) -> list[Mutation]:
    """The changes that this resource allows."""
    found: list[Mutation] = []
    for site in sites(builder, resource):
        found += _of_object(site)
        for field in fields(site):
            found += _of_field(builder, site, field, random)
    return found


def _of_object(site: Site) -> Iterator[Mutation]:
    def make(kind: str, name: str, change: Callable[[dict[str, Json]], None]) -> Mutation:
        return Mutation(kind, f"{site.expression}.{name}", site.way, change)

    yield make("unknown-name", "zzz", lambda value: value.update(zzz=1))
    if "modifierExtension" in site.shape.children:
        unknown = [{"url": "http://unknown.example/m", "valueBoolean": True}]
        yield make(
            "unknown-modifier", "modifierExtension[0].url", lambda value: value.update(modifierExtension=unknown)
        )
    for name, element in site.shape.children.items():
        if not element.min:
            continue
        if name.endswith("[x]"):
            names = [name[:-3] + capitalised(reference.code) for reference in element.types]
            yield make("required-dropped", name[:-3], lambda value, names=names: _drop(value, names))
        elif len(site.value.keys() - {name, f"_{name}"}) > 0:
            yield make("required-dropped", name, lambda value, name=name: _drop(value, [name]))
    for name, element in site.shape.children.items():
        if name.endswith("[x]") and len(element.types) > 1:
            names = [name[:-3] + capitalised(reference.code) for reference in element.types]
            there = [one for one in names if one in site.value or f"_{one}" in site.value]
            other = next((one for one in names if one not in there and one.endswith(("String", "Boolean"))), None)
            if there and other:
                value_of_other: Json = "x" if other.endswith("String") else True
                yield make(
                    "choice-twice", other, lambda value, other=other, more=value_of_other: value.update({other: more})
                )


def _drop(value: dict[str, Json], names: list[str]) -> None:
    for name in names:
        value.pop(name, None)
        value.pop(f"_{name}", None)


def _of_field(builder: Builder, site: Site, field: Field, random: Random) -> Iterator[Mutation]:
    name, child = field.name, site.value[field.name]
    expression = f"{site.expression}.{name}"

    def put(kind: str, part: Json, place: str = "") -> Mutation:
        return Mutation(kind, expression + place, site.way, lambda value: value.update({name: copy.deepcopy(part)}))

    yield put("null", None)
    repeats = isinstance(child, list)
    if repeats:
        yield put("empty-array", [])
        yield put("array-lost", child[0] if child[0] is not None else {"x": 1})
        if field.element.max not in ("*", "1", None):
            yield put("beyond-max", [child[0]] * (int(field.element.max) + 1))
        if field.code in MAKERS:
            wrong = [{"id": f"{index}"} for index in range(len(child) + 1)]
            yield Mutation(
                "unaligned", f"{site.expression}._{name}", site.way, lambda value: value.update({f"_{name}": wrong})
            )
    else:
        yield put("beyond-max", [child, child])
    places = [index for index, part in enumerate(child) if part is not None] if repeats else []
    if repeats and not places:
        return
    index = random.choice(places) if repeats else None
    here = "" if index is None else f"[{index}]"
    part = child if index is None else child[index]

    def one(kind: str, wrong: Json, below: str = "") -> Mutation:
        whole = wrong if index is None else [*child[:index], wrong, *child[index + 1 :]]
        return put(kind, whole, here + below)

    if field.code in MAKERS:
        yield one("primitive-wrong", random.choice(WRONG[field.code]))
        yield one("object-for-primitive", {"value": "x"})
    elif isinstance(part, dict):
        yield one("empty-object", {})
        yield one("string-for-object", "x")
        if field.code in ("Resource", *builder.definitions.resource_types):
            yield one("resource-type-unknown", {**part, "resourceType": "Patinet"}, ".resourceType")
    yield from _bad_code(builder, field, part, one)
    yield from _bad_target(builder, field, one)


def _bad_code(builder: Builder, field: Field, part: Json, one: Callable[..., Mutation]) -> Iterator[Mutation]:
    binding = field.element.binding
    if binding is None or binding[0] != "required" or not builder.terminology.expand(binding[1]):
        return
    coding = {"system": "http://x.example/none", "code": "zz-none"}
    if field.code == "code":
        yield one("code-unknown", "zz-none")
    elif field.code == "Coding":
        yield one("code-unknown", coding)
    elif field.code == "CodeableConcept":
        yield one("code-unknown", {"coding": [coding]}, ".coding")


def _bad_target(builder: Builder, field: Field, one: Callable[..., Mutation]) -> Iterator[Mutation]:
    if field.code != "Reference" or field.reference is None or not field.reference.targets:
        return
    targets = {url.removeprefix(CORE) for url in field.reference.targets}
    if "Resource" not in targets:
        other = next(name for name in builder.types if name not in targets)
        yield one("target-wrong", {"reference": f"{other}/1"}, ".reference")
