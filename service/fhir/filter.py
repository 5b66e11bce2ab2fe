"""`_filter`: comparisons joined by and, or, not, read left to right without precedence, to the same conditions.

A path is a parameter, or a chain of reference parameters that ends in one. `ne` finds what has no equal value.
Source: https://hl7.org/fhir/R4/search_filter.html
"""

from __future__ import annotations

import re
from decimal import InvalidOperation

from service.errors import BadRequest
from service.fhir.conditions import Chain, Condition, Either, Every, Negation
from service.fhir.criteria import DEEPEST, Reading
from service.fhir.parameters import SearchParameter, searchable
from service.fhir.values import Range, Target, Text, Token, Value, parse_value

MOST_COMPARISONS = 50
DEEPEST_NESTING = 20

_TOKEN = re.compile(r"""\s*(?:(?P<sign>[()\[\]])|(?P<string>"(?:[^"\\]|\\.)*")|(?P<word>[^\s()\[\]"]+))""")
_RANGES = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "ap", "sa", "eb"})
OPERATORS: dict[str, frozenset[str]] = {
    "token": frozenset({"eq", "ne", "in", "ss", "sb"}),
    "string": frozenset({"eq", "ne", "co", "sw", "ew"}),
    "uri": frozenset({"eq", "ne", "sw"}),
    "reference": frozenset({"eq", "ne", "re"}),
    "date": _RANGES | {"po"},
    "number": _RANGES,
    "quantity": _RANGES,
}
_STRINGS = {"eq": "equal", "ne": "equal", "co": "contains", "sw": None, "ew": "ends"}
# What subsumes a code stands above it, so `ss` asks for all below the value.
_TERMS = {"in": "in", "ss": "below", "sb": "above"}


def parse(type_: str, text: str, reading: Reading) -> Condition:
    """The condition that `text` is for resources of the type. Raises BadRequest that says where it went wrong."""
    return _Parser(type_, text, reading).whole()


class _Parser:
    def __init__(self, type_: str, text: str, reading: Reading) -> None:
        self.type, self.reading = type_, reading
        self.tokens: list[re.Match[str]] = []
        self.place = self.comparisons = 0
        start = 0
        while text[start:].strip():
            match = _TOKEN.match(text, start)
            if match is None:
                raise self._wrong("a closing quotation mark")
            self.tokens.append(match)
            start = match.end()

    def whole(self) -> Condition:
        condition = self._sequence(0)
        if self.place < len(self.tokens):
            raise self._wrong("and, or, or the end")
        return condition

    def _wrong(self, expected: str) -> BadRequest:
        text = f"_filter needs {expected} at its token {self.place + 1}"
        return BadRequest(text, code="invalid", rule="invalid-parameter")

    def _next(self, expected: str) -> re.Match[str]:
        if self.place >= len(self.tokens):
            raise self._wrong(expected)
        self.place += 1
        return self.tokens[self.place - 1]

    def _takes(self, sign: str) -> bool:
        found = self.place < len(self.tokens) and sign in (
            self.tokens[self.place]["sign"],
            self.tokens[self.place]["word"],
        )
        self.place += found
        return found

    def _sequence(self, depth: int) -> Condition:
        if depth > DEEPEST_NESTING:
            raise self._wrong("fewer parentheses inside each other")
        condition = self._operand(depth)
        while True:
            if self._takes("and"):
                other = self._operand(depth)
                before = condition.conditions if isinstance(condition, Every) else (condition,)
                condition = Every((*before, other))
            elif self._takes("or"):
                other = self._operand(depth)
                before = condition.conditions if isinstance(condition, Either) else (condition,)
                condition = Either((*before, other))
            else:
                return condition

    def _operand(self, depth: int) -> Condition:
        negated = self._takes("not")
        if negated or (self.place < len(self.tokens) and self.tokens[self.place]["sign"] == "("):
            if not self._takes("("):
                raise self._wrong("a parenthesis after not")
            condition = self._sequence(depth + 1)
            if not self._takes(")"):
                raise self._wrong("a closing parenthesis")
            return Negation(condition) if negated else condition
        return self._comparison()

    def _comparison(self) -> Condition:
        self.comparisons += 1
        if self.comparisons > MOST_COMPARISONS:
            raise self._wrong(f"at most {MOST_COMPARISONS} comparisons and ends")
        path = self._next("a parameter")["word"]
        operator = self._next("an operator")["word"]
        if self.tokens[self.place - 1]["sign"] == "[":
            raise self._wrong("a path without a filter in brackets, which is not supported")
        value = self._next("a value")
        if path is None or operator is None or value["sign"]:
            raise self._wrong("[parameter] [operator] [value]")
        text = _unquoted(value["string"]) if value["string"] else value["word"]
        return self._along(self.type, path.split("."), operator, text)

    def _along(self, type_: str, path: list[str], operator: str, text: str) -> Condition:
        parameter = self.reading.parameters.get(type_, path[0])
        if parameter is None or not searchable(parameter) or len(path) > DEEPEST:
            raise self._wrong(f"a search parameter of {type_} before the operator")
        if len(path) == 1:
            return self._compare(type_, parameter, operator, text)
        if parameter.type != "reference":
            raise self._wrong("a reference parameter before the dot")
        rests = [
            (target, self._along(target, path[1:], operator, text))
            for target in parameter.target
            if self.reading.parameters.get(target, path[1]) is not None
        ]
        if not rests:
            raise self._wrong("a chain that ends in a parameter of the target type")
        return Chain(parameter, tuple(rests))

    def _compare(self, type_: str, parameter: SearchParameter, operator: str, text: str) -> Condition:
        if operator == "pr":
            if text not in ("true", "false"):
                raise self._wrong("true or false after pr")
            return self.reading.missing(type_, parameter, text == "false")
        if operator not in OPERATORS.get(parameter.type, ()):
            known = ", ".join(sorted({"pr", *OPERATORS.get(parameter.type, ())}))
            raise self._wrong(f"one of {known} for a {parameter.type} parameter")
        if parameter.type == "token" and operator in _TERMS:
            value = Text(text) if operator == "in" else self._value(parameter, "eq", text)
            return self.reading.of(parameter, self.reading.terms_of(_TERMS[operator], (value,), parameter.code), None)
        modifier = _STRINGS[operator] if parameter.type == "string" else None
        if parameter.type == "uri" and operator == "sw":
            modifier = "below"
        found = self.reading.of(parameter, (self._value(parameter, operator, text),), modifier)
        return Negation(found) if operator == "ne" else found

    def _value(self, parameter: SearchParameter, operator: str, text: str) -> Value:
        if parameter.type in ("string", "uri"):
            return Text(text)
        if parameter.type in ("date", "number", "quantity"):
            # Periods overlap where each starts before the other ends, which is what `ap` asks of dates.
            prefix = {"po": "ap", "ne": "eq"}.get(operator, operator)
            text = prefix + text
        try:
            value = parse_value(parameter, "", text, None, self.reading.zone)
        except (ValueError, InvalidOperation, OverflowError):
            raise self._wrong(f"a value of a {parameter.type} parameter") from None
        assert isinstance(value, (Range, Target, Token))
        return value


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])
