"""The cases that both validators are asked: what the project publishes, the corpus, generated resources, mutations."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from oracle.mutations import mutate
from service.conformance.definitions import OWN_RESOURCES, Definitions
from service.fhir.json import decode, encode
from service.settings import shipped
from tests.corpus import cases as corpus
from tests.generators.resources import DENSITIES, Builder

Json = Any
SEED = 20260
_BAD = ("fhir_profiles", "bad")


@dataclass(frozen=True)
class Case:
    """A resource with the profiles that are asked for besides those it claims; `kind` is where it comes from."""

    kind: str
    name: str
    resource: Json
    profiles: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`kind/name`."""
        return f"{self.kind}/{self.name}"

    def line(self) -> bytes:
        """The case as a line for the engine."""
        return encode({"id": self.id, "profiles": self.profiles, "resource": self.resource})


@dataclass(frozen=True)
class Amounts:
    """How many resources are generated and mutated, and which share of all that has no end is asked (each n-th)."""

    generated: int = 700
    mutations: int = 6000
    every_corpus: int = 1
    every_generated: int = 1
    every_mutation: int = 1


LONG = Amounts()
# A part of the long form, so that what is explained there is explained here.
SHORT = Amounts(every_corpus=8, every_generated=16, every_mutation=30)


def definitions_into(folder: Path) -> None:
    """Our definitions and those of the corpus, as files."""
    for path in shipped(*OWN_RESOURCES).glob("*.json"):
        shutil.copy(path, folder)
    for resource in corpus.read(corpus.FOLDER / "definitions.json"):
        name = f"corpus-{resource['resourceType']}-{resource['id']}.json"
        (folder / name).write_bytes(encode(resource))


def build(definitions: Definitions, amounts: Amounts) -> list[Case]:
    """All cases, the same for the same sources; what is added to the sources leaves the others as they are."""
    made = list(generated(definitions, amounts.generated))
    wanted = range(0, amounts.mutations, amounts.every_mutation)
    return [
        *published(),
        *bad_examples(),
        *islice(corpus_cases(), 0, None, amounts.every_corpus),
        *made[:: amounts.every_generated],
        *mutations([*published("*-example-*"), *made], wanted),
    ]


def published(pattern: str = "*") -> Iterator[Case]:
    """Our compiled profiles, value sets, code systems, concept maps, search parameters… and examples."""
    for path in sorted(shipped(*OWN_RESOURCES).glob(f"{pattern}.json")):
        kind = "example" if "-example-" in path.name else "definition"
        yield Case(kind, path.stem, corpus.read(path))


def bad_examples() -> Iterator[Case]:
    """The resources of our guide that break one rule each."""
    for path in sorted(shipped(*_BAD).glob("*.json")):
        yield Case("bad-example", path.stem, corpus.read(path)["resource"])


def corpus_cases() -> Iterator[Case]:
    """The corpus of the validator, invalid and valid."""
    for kind in ("invalid", "valid"):
        for case in corpus.load(kind):
            if case.family != "bad-examples":
                yield Case(f"corpus-{kind}", case.id, case.resource, case.profiles)


def generated(definitions: Definitions, count: int) -> Iterator[Case]:
    """Valid resources of every type in turn."""
    builder = Builder(definitions)
    for index in range(count):
        turn, place = divmod(index, len(builder.types))
        name = f"{builder.types[place]}-{turn}"
        random = Random(f"{SEED}/{name}")
        resource = builder.resource(builder.types[place], random, random.choice(DENSITIES))
        yield Case("generated", name, _sent(resource))


def mutations(bases: list[Case], wanted: range) -> Iterator[Case]:
    """The wanted of all mutations: each of the bases in turn, with one change; a tenth has two."""
    for index in wanted:
        turn, place = divmod(index, len(bases))
        name = f"{bases[place].name}-{turn}"
        random = Random(f"{SEED}/{name}")
        changed, names = mutate(bases[place].resource, random, 2 if random.random() < 0.1 else 1)
        yield Case("mutation", f"{name}-{'+'.join(names)}", _sent(changed))


def _sent(resource: Json) -> Json:
    """What a server gets: written and read once."""
    return decode(encode(resource), max_depth=200)
