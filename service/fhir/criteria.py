"""One search parameter of a query string to a condition: modifiers, chains, `_has`, composites, terminology.

Source: https://hl7.org/fhir/R4/search.html#modifiers
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from difflib import get_close_matches
from typing import Protocol

from service.errors import BadRequest, Issue
from service.fhir.conditions import Chain, Condition, Criterion, Either, Every, Has, Missing, Negation
from service.fhir.parameters import SearchParameter, SearchParameters, searchable
from service.fhir.values import Composite, Text, Token, Value, named, parse_value, parse_values, split

MODIFIERS: dict[str, frozenset[str]] = {
    "token": frozenset({"not", "text", "in", "not-in", "above", "below", "of-type"}),
    "string": frozenset({"exact", "contains"}),
    "uri": frozenset({"above", "below"}),
    "reference": frozenset({"identifier"}),
    "date": frozenset(),
    "number": frozenset(),
    "quantity": frozenset(),
    "composite": frozenset(),
}
UNSUPPORTED = "unsupported-parameter"
_CONTAINED = (
    "Contained resources are not searched; what works is _contained=false, which finds the resource around them"
)
_TEXT = "Texts of whole resources are not searched; what works is :text for codes and :contains for string parameters"
_ENTRIES = "Entries of a stored Bundle are not searched; what works is identifier, timestamp and type"
# What R4 defines and is not done here, with what works instead; names without "_" where the type has them.
NOT_DONE = {
    "_text": _TEXT,
    "_content": _TEXT,
    "_query": "There are no named queries; what works is search parameters, chains, _has and _filter",
    "_contained": _CONTAINED,
    "_containedType": _CONTAINED,
    "near": "Distances are not searched; what works is address, address-city and the other parts of the address",
    "composition": _ENTRIES,
    "message": _ENTRIES,
}
DEEPEST = 8  # links of one chain
MOST_VALUES = {"token": 1000, "reference": 1000}  # of one parameter, by its type
MOST_OTHERS = 60
MOST_CODES = 2000  # of one value set


class Terms(Protocol):
    """What the search asks of terminology; None where it cannot be known."""

    def members(self, value_set: str) -> Mapping[str, Collection[str]] | None:
        """The codes of a value set by system."""
        ...

    def below(self, system: str, code: str) -> Collection[str] | None:
        """The code and all that it subsumes."""
        ...

    def above(self, system: str, code: str) -> Collection[str] | None:
        """The code and all that subsume it."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What is needed to read criteria: the parameters, the site's time zone, terminology where there is one."""

    parameters: SearchParameters
    zone: tzinfo
    terms: Terms | None = None

    def condition(self, type_: str, name: str, value: str, depth: int = 0) -> Condition | None:
        """The condition that `name=value` is for resources of `type_`; None for an unknown parameter.

        Raises BadRequest, also for what R4 defines and is not done here.
        """
        if depth > DEEPEST:
            raise invalid(name, f"at most {DEEPEST} links in a chain")
        if name.startswith("_has:"):
            return self._has(name, value, depth)
        if name == "_list":
            return self._list(type_, value)
        head, dot, rest = name.partition(".")
        code, _, modifier = head.partition(":")
        parameter = self.parameters.get(type_, code)
        if parameter is None or not searchable(parameter):
            if code in NOT_DONE and (code[0] == "_" or parameter is not None):
                raise not_done(code)
            return None
        if dot:
            return self._chain(parameter, modifier, (rest, name, value), depth)
        if modifier == "missing":
            if value not in ("true", "false"):
                raise invalid(name, "true or false")
            return self.missing(type_, parameter, value == "true")
        return self._criterion(type_, parameter, modifier, name, value)

    def missing(self, type_: str, parameter: SearchParameter, missing: bool) -> Condition:
        """Whether the resource has no value of the parameter."""
        found: Condition = Missing(parameter, False)
        if parameter.parts:
            found = Either(tuple(self.missing(type_, part, False) for part in parameter.parts))
        elif parameter.type == "composite" and parameter.expression == type_:
            components = self._components(type_, parameter, parameter.code)
            found = Every(tuple(self.missing(type_, one, False) for one in components))
        if isinstance(found, Missing):
            return Missing(parameter, missing)
        return Negation(found) if missing else found

    def of(self, parameter: SearchParameter, values: tuple[Value, ...], modifier: str | None) -> Condition:
        """The criterion; of a parameter that consists of others, over those."""
        if not parameter.parts:
            return Criterion(parameter, values, modifier)
        if modifier == "not":
            return Negation(self.of(parameter, values, None))
        return Either(tuple(Criterion(part, values, modifier) for part in parameter.parts))

    def _criterion(self, type_: str, parameter: SearchParameter, modifier: str, name: str, value: str) -> Condition:
        target = None
        if parameter.type == "reference" and modifier in parameter.target:
            target, modifier = modifier, ""
        if modifier and (modifier not in MODIFIERS[parameter.type] or parameter.code == "_id"):
            raise unsupported(name, parameter, modifier)
        if parameter.type == "composite":
            return self._composite(type_, parameter, name, value)
        values = parse_values(parameter, modifier, value, target, self.zone, name)
        if len(values) > MOST_VALUES.get(parameter.type, MOST_OTHERS):
            raise costly(name)
        if parameter.type == "token" and modifier in ("in", "not-in", "above", "below"):
            values, modifier = self.terms_of(modifier, values, name), "not" if modifier == "not-in" else ""
        return self.of(parameter, values, modifier or None)

    def _composite(self, type_: str, parameter: SearchParameter, name: str, value: str) -> Condition:
        texts = split(value, ",")
        if len(texts) > MOST_OTHERS:
            raise costly(name)
        found = [self._together(type_, part, name, text) for text in texts for part in parameter.parts or (parameter,)]
        return found[0] if len(found) == 1 else Either(tuple(found))

    def _together(self, type_: str, parameter: SearchParameter, name: str, text: str) -> Condition:
        """`a$b`: of the resource itself simply both, of one of its elements both in the same."""
        components = self._components(type_, parameter, name)
        texts = split(text, "$")
        if len(texts) != len(components):
            raise invalid(name, f"{len(components)} parts with $ between them")
        with named(name):
            values = tuple(
                parse_value(one, "", part, one.target[0] if one.target else None, self.zone)
                for one, part in zip(components, texts, strict=True)
            )
        if parameter.expression == type_:
            return Every(tuple(self.of(one, (v,), None) for one, v in zip(components, values, strict=True)))
        return Criterion(parameter, (Composite(values),))  # type: ignore[arg-type]

    def _components(self, type_: str, parameter: SearchParameter, name: str) -> tuple[SearchParameter, ...]:
        components = self.parameters.components(type_, parameter)
        if not components:
            raise BadRequest(
                f"The search parameter {name[:64]!r} is not supported", code="not-supported", rule=UNSUPPORTED
            )
        return tuple(component.parameter for component in components)

    def terms_of(self, modifier: str, values: tuple[Value, ...], name: str) -> tuple[Token, ...]:
        """The codes that `in`, `above` and `below` stand for. Raises BadRequest where they cannot be known."""
        found: list[Token] = []
        for value in values:
            if isinstance(value, Text):
                codes = self.terms.members(value.text) if self.terms else None
                what = "a value set whose codes are known here in full"
                tokens = [Token(system, code) for system, members in (codes or {}).items() for code in members]
            else:
                assert isinstance(value, Token)
                if not value.system or not value.code:
                    raise invalid(name, "[system]|[code]")
                asked = getattr(self.terms, modifier)(value.system, value.code) if self.terms else None
                codes, what = asked, "a code of a code system whose hierarchy is known here"
                tokens = [Token(value.system, code) for code in asked or ()]
            if codes is None:
                text = f"The search parameter {name[:64]!r} needs {what}"
                raise BadRequest(text, code="not-supported", rule="unknown-terminology")
            found += tokens
        if len(found) > MOST_CODES:
            raise costly(name)
        return tuple(sorted(found, key=lambda token: (token.system or "", token.code or "")))

    def _chain(self, parameter: SearchParameter, modifier: str, last: tuple[str, str, str], depth: int) -> Chain:
        rest, name, value = last
        if parameter.type != "reference":
            raise invalid(name, "a chain through a reference parameter")
        if modifier and modifier not in parameter.target:
            raise invalid(name, f"one of the types {', '.join(parameter.target)}")
        rests, refused = [], None
        for target in (modifier,) if modifier else parameter.target:
            try:
                condition = self.condition(target, rest, value, depth + 1)
            except BadRequest as error:  # another type may have the parameter with another type of value
                refused = error
                continue
            if condition is not None:
                rests.append((target, condition))
        if not rests:
            raise refused or invalid(name, "a chain that ends in a parameter of the target type")
        return Chain(parameter, tuple(rests))

    def _has(self, name: str, value: str, depth: int) -> Has:
        parts = name.split(":", 3)
        if len(parts) == 4:
            parameter = self.parameters.get(parts[1], parts[2])
            if parameter is not None and parameter.type == "reference" and searchable(parameter):
                rest = self.condition(parts[1], parts[3], value, depth + 1)
                if rest is not None:
                    return Has(parts[1], parameter, rest)
        raise invalid(name, "_has:[type]:[reference parameter]:[parameter]")

    def _list(self, type_: str, value: str) -> Has:
        item, id_ = self.parameters.get("List", "item"), self.parameters.get("List", "_id")
        if value.startswith("$"):
            raise BadRequest(
                "_list takes the id of a List; functional lists are not kept", code="not-supported", rule=UNSUPPORTED
            )
        assert item is not None
        assert id_ is not None
        ids = parse_values(id_, "", value.removeprefix("List/"), None, self.zone, "_list")
        return Has("List", item, Criterion(id_, ids))


def unsupported(name: str, parameter: SearchParameter, modifier: str) -> BadRequest:
    """The refusal of a modifier, with the nearest that the parameter has."""
    known = sorted(MODIFIERS[parameter.type] | {"missing"} | set(parameter.target))
    if parameter.code == "_id":
        known = ["missing"]
    near = get_close_matches(modifier, known, n=2, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return invalid(name, f"one of the modifiers {', '.join(known)}{hint}", rule="unsupported-modifier")


def unknown_parameter(type_: str, name: str, parameters: SearchParameters) -> Issue:
    """What to say of a parameter that the type does not have, with the nearest that it has."""
    code = name.partition(":")[0].partition(".")[0]
    known = [one for one, parameter in parameters.of(type_).items() if searchable(parameter)]
    near = get_close_matches(code, known, n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    whose = f"{type_} has no" if type_ else "Not every type that is searched has the"
    what = f"{whose} search parameter {code[:64]!r} here{hint}"
    return Issue("not-supported", what, None, "unknown-parameter")


def not_done(code: str) -> BadRequest:
    """The refusal of a parameter in NOT_DONE: ignoring it would find far more than was asked for."""
    return BadRequest(NOT_DONE[code], code="not-supported", rule=UNSUPPORTED)


def invalid(name: str, expected: str, rule: str = "invalid-parameter") -> BadRequest:
    """The refusal of a parameter, which is named, not its value."""
    return BadRequest(f"The search parameter {name[:64]!r} needs {expected}", code="invalid", rule=rule)


def costly(name: str | None = None) -> BadRequest:
    """The refusal of a list without end, or of all parameters together."""
    what = f"The search parameter {name[:64]!r} stands" if name else "The parameters stand"
    text = f"{what} for more values than one search takes; ask in parts"
    return BadRequest(text, code="too-costly", rule="too-many-values")
