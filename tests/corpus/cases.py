"""The corpus of the validator: resources with what is wrong in each, and odd ones that are right.

A case is a named resource of `bases.json` (or `example:<id>`, one of our compiled examples) with changes: `set` maps a
path (`name[0].given[1]`) to its new value, `remove` lists paths. `{"$repeat": ["x", 1000]}` stands for a long string or
array. An invalid case names every error that must be found, and no other may be: `element` and `rule` of one, with the
R4 issue `code` where it matters, or `expect` as a list of them.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from service.fhir.json import decode
from service.settings import shipped

Json = Any
FOLDER = Path(__file__).parent
_BAD = FOLDER.parents[1] / "fhir_profiles" / "bad"
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True)
class Case:
    """One case: `errors` are (element, rule), `codes` the issue code of those that say it."""

    family: str
    name: str
    base: str
    resource: Json
    profiles: tuple[str, ...]
    errors: frozenset[tuple[str, str]]
    codes: dict[tuple[str, str], str]

    @property
    def id(self) -> str:
        """`family/name`."""
        return f"{self.family}/{self.name}"


def read(path: Path) -> Json:
    """The JSON of a file of the corpus, decimals as they are written."""
    return decode(path.read_bytes(), max_depth=200)


@cache
def _bases() -> dict[str, Json]:
    examples = shipped("fhir_profiles", "fsh-generated", "resources").glob("*-example-*.json")
    named = {f"example:{resource['id']}": resource for resource in map(read, examples)}
    return named | read(FOLDER / "bases.json")


def load(kind: str) -> list[Case]:
    """The cases of `invalid` or `valid`, by file and order; the bad examples of our guide are invalid ones, too."""
    cases = [_case(path.stem, source) for path in sorted((FOLDER / kind).glob("*.json")) for source in read(path)]
    return cases + _bad_examples() if kind == "invalid" else cases


def _bad_examples() -> list[Case]:
    found = ((path.stem, read(path)) for path in sorted(_BAD.glob("*.json")))
    return [
        _case(
            "bad-examples",
            {"name": name, **{key: bad[key] for key in ("resource", "rule")}, "element": bad["expression"]},
        )
        for name, bad in found
        if bad.get("severity", "error") == "error"
    ]


def _case(family: str, source: dict[str, Json]) -> Case:
    unknown = source.keys() - {"name", "base", "resource", "set", "remove", "profiles", *_EXPECTED}
    assert not unknown, f"{family}/{source.get('name')}: {unknown}"
    expected = source.get("expect") or ([source] if "rule" in source else [])
    return Case(
        family,
        source["name"],
        source.get("base", ""),
        _made(source),
        tuple(source.get("profiles", ())),
        frozenset((one["element"], one["rule"]) for one in expected),
        {(one["element"], one["rule"]): one["code"] for one in expected if "code" in one},
    )


_EXPECTED = ("element", "rule", "code", "expect")


def _made(source: dict[str, Json]) -> Json:
    resource = copy.deepcopy(source["resource"] if "resource" in source else _bases()[source["base"]])
    for path in source.get("remove", ()):
        holder, last = _holder(resource, path)
        del holder[last]
    for path, value in source.get("set", {}).items():
        holder, last = _holder(resource, path)
        value = _expanded(value)
        if isinstance(holder, list) and last == len(holder):
            holder.append(value)
        else:
            holder[last] = value
    return resource


def _holder(resource: Json, path: str) -> tuple[Json, str | int]:
    """What holds the last step of a path; objects and arrays on the way are made."""
    steps = [int(index) if index else name for name, index in _STEP.findall(path)]
    holder = resource
    for step, following in pairwise(steps):
        empty: Json = [] if isinstance(following, int) else {}
        if isinstance(holder, dict):
            holder = holder.setdefault(step, empty)
        else:
            if step == len(holder):
                holder.append(empty)
            holder = holder[step]
    return holder, steps[-1]


def _expanded(value: Json) -> Json:
    if isinstance(value, dict):
        if value.keys() == {"$repeat"}:
            part, times = value["$repeat"]
            return part * times if isinstance(part, str) else [copy.deepcopy(part) for _ in range(times)]
        return {name: _expanded(part) for name, part in value.items()}
    return [_expanded(part) for part in value] if isinstance(value, list) else value
