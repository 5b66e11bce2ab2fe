"""Resources that keep one of our profiles: an example of the profile with elements of R4 that it says nothing of.

What the profile or an invariant names stays as the example has it, so the invariants hold by construction.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from functools import lru_cache
from random import Random
from typing import Any

from hypothesis import strategies as st

from service.conformance.definitions import Definitions
from service.fhir.json import decode
from service.settings import shipped
from tests.generators.mutations import Mutation
from tests.generators.resources import DENSITIES, NEVER, Builder, distinct_ids

Json = Any
_NAME = re.compile(r"[A-Za-z]+")


class ProfileBuilder:
    """Makes resources of a profile by its id."""

    def __init__(self, definitions: Definitions) -> None:
        self._builder = Builder(definitions)
        self._profiles = {
            one["url"]: one
            for one in definitions.own_resources()
            if one["resourceType"] == "StructureDefinition" and one["kind"] == "resource"
        }
        self._examples: dict[str, list[dict[str, Json]]] = {}
        folder = shipped("fhir_profiles", "fsh-generated", "resources")
        for path in sorted(folder.glob("*-example-*.json")):
            example = decode(path.read_bytes(), max_depth=200)
            for url in example["meta"]["profile"]:
                self._examples.setdefault(url, []).append(example)

    @property
    def profiles(self) -> list[str]:
        """The urls of our profiles of resources."""
        return sorted(self._profiles)

    def resource(self, url: str, random: Random, density: float = 0.3) -> dict[str, Json]:
        """A valid resource that claims the profile."""
        made = copy.deepcopy(random.choice(self._examples[url]))
        shape = self._builder.shapes.of_type(made["resourceType"])
        assert shape is not None
        said = self._said(url) | {name for key in made for name in (key, key.removeprefix("_"))}
        for name, element in shape.children.items():
            taken = any(key == name or (name.endswith("[x]") and key.startswith(name[:-3])) for key in said)
            if not taken and name not in NEVER and name != "id" and random.random() < density:
                self._builder.add(made, shape, name, element, random, density, 2)
        distinct_ids(made)
        return made

    def _said(self, url: str) -> set[str]:
        """The elements that the profile, its invariants or those of its type name."""
        elements = self._profiles[url]["differential"]["element"]
        snapshot = self._profiles[url]["snapshot"]["element"]
        names = {step for one in elements for step in re.split(r"[.:]", one["id"])}
        texts = [one["expression"] for element in snapshot for one in element.get("constraint", ())]
        inside = {name for text in texts for name in _NAME.findall(text)} - {"extension", "text"}
        return names | inside | {f"{name}[x]" for name in inside}

    def mutations(self, url: str, resource: dict[str, Json]) -> Iterator[Mutation]:
        """Changes of elements of the root that break what the profile says of them."""
        for element in self._profiles[url]["differential"]["element"]:
            type_, _, name = element["id"].partition(".")
            if not name or "." in name or ":" in name:
                continue
            key = next((key for key in resource if key == name or _is_choice(key, name)), None)
            if key is None:
                continue
            place = f"{type_}.{name.removesuffix('[x]')}"
            if element.get("min"):
                yield Mutation("profile-required", place, (), lambda value, key=key: _without(value, key))
            if "patternCodeableConcept" in element and isinstance(resource[key], dict):
                yield Mutation(
                    "profile-pattern", f"{type_}.{key}", (), lambda value, key=key: value.update({key: {"text": "x"}})
                )
            binding = element.get("binding", {})
            if binding.get("strength") == "required" and isinstance(resource[key], dict) and "coding" in resource[key]:
                yield Mutation(
                    "profile-code",
                    f"{type_}.{key}.coding",
                    (),
                    lambda value, key=key: value.update({key: {"text": "x"}}),
                )


def _is_choice(key: str, name: str) -> bool:
    return name.endswith("[x]") and key.startswith(name[:-3]) and key[len(name) - 3 : len(name) - 2].isupper()


def _without(value: dict[str, Json], key: str) -> None:
    value.pop(key, None)
    value.pop(f"_{key}", None)


profile_builder_of = lru_cache(maxsize=4)(ProfileBuilder)


def profiled(definitions: Definitions, url: str) -> st.SearchStrategy[dict[str, Json]]:
    """Valid resources of the profile; a failing one shrinks towards the example."""
    builder = profile_builder_of(definitions)
    return st.builds(
        lambda density, seed: builder.resource(url, Random(seed), density),
        st.sampled_from(DENSITIES),
        st.integers(0, 2**32 - 1),
    )
