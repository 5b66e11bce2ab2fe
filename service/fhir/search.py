"""Query string to Query and back: every value is parsed here, so that the store only sees ranges and codes.

Source: https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from difflib import get_close_matches

from service.errors import BadRequest, Issue
from service.fhir.parameters import SearchParameter, SearchParameters
from service.fhir.values import Value, parse_values

__all__ = ["Chain", "Criterion", "Has", "Include", "Missing", "Query", "SearchParameter", "SearchParameters", "parse"]

MODIFIERS = {
    "token": {"not"},
    "string": {"exact", "contains"},
    "uri": {"below"},
    "reference": {"identifier"},
    "date": set(),
    "number": set(),
    "quantity": set(),
}
RESULT = {"_count", "_sort", "_include", "_revinclude", "_total", "_summary", "_format", "_pretty"}
SORTABLE = {"token", "string", "uri", "date", "number", "quantity"}
TOTALS = {"none", "estimate", "accurate"}


@dataclass(frozen=True, slots=True)
class Criterion:
    """`parameter[:modifier]=value,value`: any of `values` must match (with `not`: none of them)."""

    parameter: SearchParameter
    values: tuple[Value, ...]
    modifier: str | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """`parameter:missing=true|false`."""

    parameter: SearchParameter
    missing: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """`parameter:Type.rest=…`: the reference points at a resource of one of `types` that meets `rests[type]`."""

    parameter: SearchParameter
    rests: tuple[tuple[str, Condition], ...]


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:Type:parameter:rest=…`: a resource of `type` that meets `rest` points here by `parameter`."""

    type: str
    parameter: SearchParameter
    rest: Condition


Condition = Criterion | Missing | Chain | Has


@dataclass(frozen=True, slots=True)
class Include:
    """`_include` or `_revinclude`=`source`:`parameter`[:`target`]."""

    source: str
    parameter: SearchParameter
    target: str | None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A search of one type. `ignored` names what was not understood; `link` is what `self` shows."""

    type: str
    conditions: tuple[Condition, ...] = ()
    sort: tuple[tuple[SearchParameter, bool], ...] = ()  # (parameter, descending)
    includes: tuple[Include, ...] = ()
    count: int = 50
    total: bool = False
    summary_count: bool = False
    ignored: tuple[str, ...] = ()
    link: tuple[tuple[str, str], ...] = ()


def parse(
    resource_type: str,
    pairs: Sequence[tuple[str, str]],
    parameters: SearchParameters,
    *,
    zone: tzinfo,
    handling: str = "lenient",
    default_count: int = 50,
    max_count: int = 1000,
) -> Query:
    """The Query of `pairs` (names and values, already URL-decoded). Raises BadRequest with all issues.

    Unknown parameters are ignored and named in `Query.ignored` (lenient) or an error (strict);
    an unsupported modifier, prefix or malformed value always is one.
    """
    reader = _Reader(resource_type, parameters, zone, handling, max_count)
    for name, value in pairs:
        try:
            reader.take(name, value)
        except BadRequest as error:
            reader.issues.extend(error.issues)
    if reader.issues:
        raise BadRequest(issues=reader.issues)
    return reader.query(default_count)


class _Reader:
    """Collects what the pairs of one query string say."""

    def __init__(self, type_: str, parameters: SearchParameters, zone: tzinfo, handling: str, max_count: int) -> None:
        self.type, self.parameters, self.zone = type_, parameters, zone
        self.strict, self.max_count = handling == "strict", max_count
        self.issues: list[Issue] = []
        self.conditions: list[Condition] = []
        self.sort: tuple[tuple[SearchParameter, bool], ...] = ()
        self.includes: list[Include] = []
        self.count: int | None = None
        self.total = self.summary_count = False
        self.ignored: list[str] = []
        self.link: list[tuple[str, str]] = []

    def query(self, default_count: int) -> Query:
        return Query(
            self.type,
            tuple(self.conditions),
            self.sort,
            tuple(self.includes),
            default_count if self.count is None else self.count,
            self.total,
            self.summary_count,
            tuple(self.ignored),
            tuple(self.link),
        )

    def take(self, name: str, value: str) -> None:
        base = name.partition(":")[0]
        if "\0" in value:  # no FHIR string has one, and PostgreSQL knows none
            raise _invalid(name, "a value without the character U+0000")
        if base in RESULT:
            self._result(base, name, value)
        elif value:  # an empty value says nothing: https://hl7.org/fhir/R4/search.html#escaping
            condition = self._condition(self.type, name, value)
            if condition is None:
                return self._unknown(name)
            self.conditions.append(condition)
        else:
            return self._unknown(name)
        self.link.append((name, value))
        return None

    def _unknown(self, name: str) -> None:
        if self.strict:
            self.issues.append(unknown_parameter(self.type, name, self.parameters))
        else:
            self.ignored.append(name)

    def _result(self, base: str, name: str, value: str) -> None:
        if base == "_count":
            if not value.isdecimal():
                raise _invalid(name, "a whole number, 0 or more")
            self.count = min(int(value[:18]), self.max_count)  # int() itself takes 4,300 digits and no more
            self.summary_count = self.summary_count or self.count == 0
        elif base == "_total":
            if value not in TOTALS:
                raise _invalid(name, "none, estimate or accurate")
            self.total = value != "none"
        elif base == "_summary":
            if value not in ("count", "false"):
                raise _invalid(name, "count or false")
            self.summary_count = value == "count"
        elif base == "_sort":
            self.sort = tuple(self._sort_key(key) for key in value.split(",") if key)
        elif base in ("_include", "_revinclude"):
            self._include(name, value)

    def _sort_key(self, key: str) -> tuple[SearchParameter, bool]:
        code = key.removeprefix("-")
        parameter = self.parameters.get(self.type, code)
        if parameter is None or parameter.type not in SORTABLE:
            raise _invalid("_sort", f"parameters of {self.type} of type {', '.join(sorted(SORTABLE))}")
        return parameter, key.startswith("-")

    def _include(self, name: str, value: str) -> None:
        base, _, modifier = name.partition(":")
        parts = value.split(":")
        if modifier or not 2 <= len(parts) <= 3:
            raise _invalid(name, "[type]:[reference parameter] or [type]:[reference parameter]:[target type]")
        parameter = self.parameters.get(parts[0], parts[1])
        if parameter is None or parameter.type != "reference":
            raise _invalid(name, "a reference parameter of its type")
        if base == "_include" and parts[0] != self.type:
            raise _invalid(name, f"a parameter of {self.type}")
        target = parts[2] if len(parts) == 3 else None
        self.includes.append(Include(parts[0], parameter, target, base == "_revinclude"))

    def _condition(self, type_: str, name: str, value: str) -> Condition | None:
        if name.startswith("_has:"):
            return self._has(name, value)
        head, dot, rest = name.partition(".")
        code, _, modifier = head.partition(":")
        parameter = self.parameters.get(type_, code)
        if parameter is None or not parameter.expression or parameter.type not in MODIFIERS:
            return None
        if dot:
            return self._chain(parameter, modifier, rest, name, value)
        if modifier == "missing":
            if value not in ("true", "false"):
                raise _invalid(name, "true or false")
            return Missing(parameter, value == "true")
        target = None
        if parameter.type == "reference" and modifier in parameter.target:
            target, modifier = modifier, ""
        if modifier and modifier not in MODIFIERS[parameter.type]:
            known = sorted(MODIFIERS[parameter.type] | {"missing"})
            raise _invalid(name, f"one of the modifiers {', '.join(known)}", rule="unsupported-modifier")
        return Criterion(parameter, parse_values(parameter, modifier, value, target, self.zone, name), modifier or None)

    def _chain(self, parameter: SearchParameter, modifier: str, rest: str, name: str, value: str) -> Chain:
        if parameter.type != "reference":
            raise _invalid(name, "a chain through a reference parameter")
        if modifier and modifier not in parameter.target:
            raise _invalid(name, f"one of the types {', '.join(parameter.target)}")
        rests = []
        for type_ in (modifier,) if modifier else parameter.target:
            condition = self._condition(type_, rest, value)
            if condition is not None:
                rests.append((type_, condition))
        if not rests:
            raise _invalid(name, "a chain that ends in a parameter of the target type")
        return Chain(parameter, tuple(rests))

    def _has(self, name: str, value: str) -> Has:
        parts = name.split(":", 3)
        if len(parts) == 4:
            parameter = self.parameters.get(parts[1], parts[2])
            if parameter is not None and parameter.type == "reference":
                rest = self._condition(parts[1], parts[3], value)
                if rest is not None:
                    return Has(parts[1], parameter, rest)
        raise _invalid(name, "_has:[type]:[reference parameter]:[parameter]")


def unknown_parameter(type_: str, name: str, parameters: SearchParameters) -> Issue:
    """What to say of a parameter that the type does not have, with the nearest that it has."""
    code = name.partition(":")[0].partition(".")[0]
    near = get_close_matches(code, parameters.of(type_), n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return Issue(
        "not-supported", f"{type_} has no search parameter {code[:64]!r} here{hint}", None, "unknown-parameter"
    )


def _invalid(name: str, expected: str, rule: str = "invalid-parameter") -> BadRequest:
    return BadRequest(f"The search parameter {name[:64]!r} needs {expected}", code="invalid", rule=rule)
