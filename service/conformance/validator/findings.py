"""What the checks report on their way up: a place relative to the value checked, and the rule.

A check gives None (all well) or a list of findings; containers put their own name in front. Nothing is built, and no
path is written, while everything is well. Texts name rules and allowed values, never a value of the data.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any

Found = "list[Finding] | None"
Check = Callable[[Any], "list[Finding] | None"]


class Around:
    """The resource around a value; what it contains is put in order once, for there may be many references."""

    __slots__ = ("_contained", "_ids", "resource")

    def __init__(self, resource: Any) -> None:
        self.resource = resource
        self._contained: dict[str, dict[str, Any]] | None = None
        self._ids: dict[tuple[str, str], str] = {}

    def contained(self, fragment: str) -> dict[str, Any] | None:
        """What `#fragment` points at: a contained resource, or the resource itself where nothing follows the `#`."""
        if not isinstance(self.resource, dict) or not fragment:
            return self.resource if isinstance(self.resource, dict) else None
        if self._contained is None:
            items = self.resource.get("contained")
            known = [item for item in (items if isinstance(items, list) else ()) if isinstance(item, dict)]
            self._contained = {item["id"]: item for item in reversed(known) if isinstance(item.get("id"), str)}
        return self._contained.get(fragment)

    def has_id_before(self, id_: str, path: str) -> bool:
        """Whether an element at another path was asked for with this id.

        A contained resource counts by itself; so does a snapshot, whose ids are those of the differential.
        """
        scope = _SCOPE.match(path)
        return self._ids.setdefault((scope[0] if scope else "", id_), path) != path


# Whether the rule is broken after all: asked with what is around the value and the path from there.
Pending = Callable[[Around, str], bool]
_SCOPE = re.compile(r"(?:\.contained\[\d+\])?(?:\.snapshot\b)?")
_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")
_LIST_AT_MOST = 24
_SUGGESTIONS = 256


class Finding:
    """One broken rule. With `pending` only the resource around the value can tell; see `settled`.

    `vague`: an invariant gave neither true nor false, which counts only where nothing else is wrong; see `certain`.
    """

    __slots__ = ("code", "path", "pending", "rule", "severity", "source", "text", "vague")

    def __init__(self, code: str, rule: str, text: str, path: str = "", severity: str = "error") -> None:
        self.code = code
        self.rule = rule
        self.text = text
        self.path = path
        self.severity = severity
        self.source: str | None = None
        self.pending: Pending | None = None
        self.vague = False

    def __repr__(self) -> str:
        return f"Finding({self.path!r}, {self.rule!r})"


def one(code: str, rule: str, text: str, path: str = "") -> list[Finding]:
    """A list with one finding."""
    return [Finding(code, rule, text, path)]


def refused(found: list[Finding] | None) -> bool:
    """Whether there is an error among the findings: warnings, information and what is pending refuse nothing."""
    return found is not None and any(finding.severity == "error" and finding.pending is None for finding in found)


def at(prefix: str, found: list[Finding]) -> list[Finding]:
    """The findings seen from the container; changed in place."""
    for finding in found:
        finding.path = prefix + finding.path
    return found


def sourced(source: str, found: list[Finding]) -> list[Finding]:
    """The findings with the canonical of their definition, where a narrower one is not given."""
    for finding in found:
        if finding.source is None:
            finding.source = source
    return found


def settled(resource: Any, found: list[Finding]) -> list[Finding]:
    """The findings without those that the resource answers."""
    if not any(finding.pending is not None for finding in found):
        return found
    around = Around(resource)
    kept = [finding for finding in found if finding.pending is None or finding.pending(around, finding.path)]
    for finding in kept:
        finding.pending = None
    return kept


def broken(key: str, text: str, severity: str, verdict: bool | None) -> list[Finding] | None:
    """An invariant that is false, or gives nothing (None), which is no ground for a warning."""
    if verdict is None and severity != "error":
        return None
    finding = Finding("invariant", key, text, severity=severity)
    finding.vague = verdict is None
    return [finding]


def certain(found: list[Finding]) -> list[Finding]:
    """The findings without vague ones of elements in which an error explains them, such as a missing element."""
    if not any(finding.vague for finding in found):
        return found
    explained: set[str] = set()
    for finding in found:
        if not finding.vague and finding.severity == "error":
            path = finding.path
            while (path := path[: max(path.rfind("."), path.rfind("["), 0)]) and path not in explained:
                explained.add(path)
    return [finding for finding in found if not finding.vague or finding.path not in explained]


def both(first: Check, second: Check) -> Check:
    """One check of two; `second` must bear any value."""

    def check(value: Any) -> list[Finding] | None:
        found = first(value)
        more = second(value)
        if more is None:
            return found
        return more if found is None else found + more

    return check


def nearest(name: str, names: Iterable[str], known: dict[str, str]) -> str:
    """`; did you mean 'status'?` where a name is near, else nothing.

    `known` keeps the answers: a thousand rows with one typing error cost one search, and a body of wrong names
    cannot keep the service busy.
    """
    key = name[:64]
    if key not in known:
        if len(known) >= _SUGGESTIONS:
            return ""
        folded = {name.casefold(): name for name in names}
        match = difflib.get_close_matches(key.casefold(), list(folded), n=1, cutoff=0.7)
        known[key] = f"; did you mean '{folded[match[0]]}'?" if match else ""
    return known[key]


def place(name: str) -> str:
    """`.name` for a key that looks like an element; nothing for one that may be data."""
    return f".{name}" if _NAME.fullmatch(name) else ""


def listed(values: Iterable[str]) -> str:
    """At most 24 values, sorted and joined by comma."""
    ordered = sorted(values)
    more = f" and {len(ordered) - _LIST_AT_MOST} more" if len(ordered) > _LIST_AT_MOST else ""
    return ", ".join(ordered[:_LIST_AT_MOST]) + more


def wrong_kind(value: Any, expected: str) -> list[Finding]:
    """The value is of another JSON type than `expected` ('a string', 'an object'…)."""
    if value is None:
        return one("structure", "null-value", "null is not allowed: leave the element out")
    if isinstance(value, list):
        return one("structure", "array-unexpected", f"This element does not repeat: {expected} is needed, not an array")
    if expected == "an object":
        return one("structure", "object-expected", "An object is needed here")
    if isinstance(value, dict):
        return one("structure", "primitive-type", f"{expected.capitalize()} is needed here, not an object")
    return one("structure", "primitive-type", f"{expected.capitalize()} is needed here, written as such in JSON")
