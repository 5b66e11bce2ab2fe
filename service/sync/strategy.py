"""What a vendor's server can do and how it wants to be asked: `mappings/ehr/[vendor].yaml`, a closed vocabulary.

Findings name file, line and key. See docs/sync.md for what each key means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from service.errors import NotFound, Unprocessable
from service.settings import shipped
from service.trial.mapping.source import Source, read_yaml

PULL = re.compile(r"[A-Z][A-Za-z]+(\?.+)?")
CHOICES: dict[str, tuple[object, ...]] = {
    "asked-by": ("type", "patient"),
    "deletes": ("history", "comparison", "none"),
    "scopes": ("v1", "v2"),
    "id-lists": (True, False),
    "if-none-exist": (True, False),
}
LAST_UPDATED: dict[str, tuple[object, ...]] = {
    "works": (True, False),
    "order": ("ascending", "descending", "unknown"),
    "sort": ("_lastUpdated",),
}
KEYS = {*CHOICES, "title", "count", "last-updated", "requires", "pull", "conflict"}
OWN = frozenset({"_lastUpdated", "_count", "_sort", "patient", "_id", "_format", "_since"})  # of the pull itself


@dataclass(frozen=True, slots=True)
class Strategy:
    """One vendor. `requires`: by type, parameters of which a search needs one; `pull` is asked where nothing is set.

    `bounded`: a search has no order that can be relied on, so each window ends at a fixed moment. `overlap` seconds are
    asked for again each time. `filters`: `_lastUpdated` is relied on.
    """

    name: str
    title: str
    by_patient: bool
    count: int
    id_lists: bool
    filters: bool
    bounded: bool
    sort: str | None
    overlap: float
    requires: Mapping[str, tuple[str, ...]]
    pull: tuple[str, ...]
    deletes: str
    conflict: tuple[int, ...]
    if_none_exist: bool
    scopes: str

    def lacks(self, search: str) -> str | None:
        """What a search (`Type?parameters`) lacks for this vendor, in words; None: nothing."""
        type_, _, query = search.partition("?")
        names = {name.partition(":")[0] for name, _ in parse_qsl(query, keep_blank_values=True)}
        needed = self.requires.get(type_, ())
        if needed and not names & set(needed):
            return f"{self.title} asks for one of {', '.join(needed)} in a search of {type_}"
        return None

    def scope(self, type_: str) -> str:
        """The scope of SMART that reading the type needs."""
        return f"system/{type_}.{'read' if self.scopes == 'v1' else 'rs'}"

    def scope_to_write(self, type_: str, deletes: bool) -> str:
        """The scope of SMART that pushing the type needs beside reading it."""
        return f"system/{type_}.{'write' if self.scopes == 'v1' else 'cud' if deletes else 'cu'}"


def vendors(folder: Path | None = None) -> list[str]:
    """The names of all strategies."""
    return sorted(path.stem for path in (folder or shipped("mappings", "ehr")).glob("*.yaml") if path.stem != "units")


def load_strategy(name: str, folder: Path | None = None) -> Strategy:
    """The strategy of a vendor. Raises NotFound; Unprocessable with all that is wrong in its file."""
    folder = folder or shipped("mappings", "ehr")
    if name not in vendors(folder):
        text = f"There is no strategy for this vendor; there are {', '.join(vendors(folder))}"
        raise NotFound(text, rule="unknown-vendor")
    source = read_yaml(folder / f"{name}.yaml", f"{name}.yaml")
    _check(source)
    if source.issues:
        raise Unprocessable(issues=source.issues)
    return _made(name, source.value)


def _made(name: str, value: Mapping[str, Any]) -> Strategy:
    updated = value["last-updated"]
    return Strategy(
        name=name,
        title=value["title"],
        by_patient=value["asked-by"] == "patient",
        count=value["count"],
        id_lists=value["id-lists"],
        filters=updated["works"],
        bounded=updated["order"] != "ascending",
        sort=updated.get("sort"),
        overlap=float(updated.get("overlap", 0)),
        requires={type_: tuple(names) for type_, names in value["requires"].items()},
        pull=tuple(value["pull"]),
        deletes=value["deletes"],
        conflict=tuple(value["conflict"]),
        if_none_exist=value["if-none-exist"],
        scopes=value["scopes"],
    )


def _check(source: Source) -> None:
    value = source.value
    if not isinstance(value, dict):
        source.wrong((), "a strategy is a mapping")
        return
    _keys(source, (), value, KEYS)
    for key, choices in CHOICES.items():
        _choice(source, (key,), value, choices)
    if not isinstance(value.get("title"), str):
        source.wrong(("title",), "a text is needed")
    if not isinstance(value.get("count"), int) or not 1 <= value["count"] <= 10_000:
        source.wrong(("count",), "a number from 1 to 10000 is needed")
    _last_updated(source, value.get("last-updated"))
    _requires(source, value.get("requires"))
    _pull(source, value.get("pull"))
    conflict = value.get("conflict")
    if not isinstance(conflict, list) or not conflict or set(map(str, conflict)) - {"409", "412"}:
        source.wrong(("conflict",), "a list of 409 and 412 is needed")


def _keys(source: Source, path: tuple[str, ...], value: Mapping[str, Any], known: set[str]) -> None:
    for key in value.keys() - known:
        source.wrong((*path, key), f"unknown key; known are {', '.join(sorted(known))}")


def _choice(source: Source, path: tuple[str, ...], value: Mapping[str, Any], choices: tuple[object, ...]) -> None:
    found = value.get(path[-1])
    if not any(found is one or (isinstance(one, str) and found == one) for one in choices):
        source.wrong(path, f"must be one of {', '.join(str(one).lower() for one in choices)}")


def _last_updated(source: Source, value: Any) -> None:
    path = "last-updated"
    if not isinstance(value, dict):
        source.wrong((path,), "a mapping is needed")
        return
    _keys(source, (path,), value, {*LAST_UPDATED, "overlap"})
    for key, choices in LAST_UPDATED.items():
        if key in value or key != "sort":
            _choice(source, (path, key), value, choices)
    overlap = value.get("overlap", 0)
    if isinstance(overlap, bool) or not isinstance(overlap, int) or not 0 <= overlap <= 86_400:
        source.wrong((path, "overlap"), "seconds from 0 to 86400 are needed")
    if value.get("order") == "ascending" and "sort" not in value:
        source.wrong((path, "order"), "an order can only be relied on with `sort`")


def _requires(source: Source, value: Any) -> None:
    if not isinstance(value, dict):
        source.wrong(("requires",), "a mapping of types to lists of parameters is needed")
        return
    for type_, names in value.items():
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            source.wrong(("requires", type_), "a list of parameters is needed")


def _pull(source: Source, value: Any) -> None:
    if not isinstance(value, list) or not value:
        source.wrong(("pull",), "a list of searches is needed")
        return
    for number, search in enumerate(value):
        if wrong := wrong_search(search):
            source.wrong(("pull", number), wrong)


def wrong_search(search: object) -> str | None:
    """Why this is no search to pull by, such as `Observation?category=laboratory`; None where it is one."""
    if not isinstance(search, str) or not PULL.fullmatch(search):
        return "must be a type, or a type with parameters: Observation?category=laboratory"
    names = {name.partition(":")[0] for name, _ in parse_qsl(search.partition("?")[2], keep_blank_values=True)}
    if taken := sorted(names & OWN):
        return f"{', '.join(taken)} is set by the pull itself"
    if search.partition("?")[0] in ("Patient", "Person", "RelatedPerson"):
        return "people are linked, not pulled"
    return None
