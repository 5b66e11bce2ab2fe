"""Bindings to value sets: what is required is an error, what is extensible a warning, the rest is advice.

A required CodeableConcept needs a coding of the value set: a text alone is not "from the specified value set". With an
extensible binding a text, or a code of a system that is not at hand, may say what the value set cannot.
Source: https://hl7.org/fhir/R4/terminologies.html#strength and
https://hl7.org/fhir/R4/extension-elementdefinition-maxvalueset.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from service.conformance.definitions import Definitions
from service.conformance.terminology import Codes, Terminology
from service.conformance.validator.findings import Check, Finding, listed, nearest
from service.conformance.validator.grammars import BCP_13, FORMAT, FORMS, MEDIA_TYPES, SAYS, SHORT_FORMATS, Form
from service.conformance.validator.wording import LONGEST

_TEXTUAL = frozenset({"code", "string", "uri", "canonical", "url", "id"})
_SEARCHED_AT_MOST = 1000
_KEPT = 1024

# Makes the findings of a wrong value: (the code that was sent, path of what is wrong).
Failure = Callable[[Any, str], "list[Finding]"]


@dataclass(frozen=True, slots=True)
class Members:
    """The codes of a value set; `has` asks for (system, code), `holds` for a code of any system; `codes` lists them."""

    holds: Callable[[str], bool]
    has: Callable[[Any, Any], bool]
    says: str
    near: Callable[[str], str]
    codes: frozenset[str] | None = None


class Bindings:
    """Checks of bound values; a value set that cannot be known in full checks nothing."""

    def __init__(self, terminology: Terminology, definitions: Definitions) -> None:
        self._terminology = terminology
        self._definitions = definitions
        self._known: dict[str, Members | None] = {}

    def checks(
        self, binding: tuple[str, str] | None, max_value_set: str, type_code: str, path: str = ""
    ) -> list[Check]:
        """The checks that the binding asks of a value of the type; `path` is the element of R4 that is bound."""
        found: list[Check | None] = []
        if binding is not None and binding[0] == "required":
            members = self.members(binding[1], path)
            found.append(_bound(members, type_code, partial(_required, members)) if members else None)
        elif binding is not None and binding[0] == "extensible" and type_code in ("Coding", "CodeableConcept"):
            found.append(self._extensible(binding[1], type_code))
        if max_value_set:
            found.append(self._at_most(max_value_set, type_code, path))
        return [check for check in found if check is not None]

    def members(self, url: str, path: str = "") -> Members | None:
        """What the value set holds; None where that cannot be known."""
        url = MEDIA_TYPES if url == BCP_13 else url
        if url not in self._known:
            self._known[url] = self._members(url)
        found = self._known[url]
        if path != FORMAT or found is None or url != MEDIA_TYPES:
            return found
        text = f"Not a code of {url}: it must be xml, json, ttl or a media type"
        return Members(lambda code: code in SHORT_FORMATS or found.holds(code), found.has, text, found.near)

    def _members(self, url: str) -> Members | None:
        if url in FORMS:
            return _of_form(url, FORMS[url])
        expansion = self._terminology.expand(url)
        if expansion is not None:
            return _of_list(url, expansion)
        return _of_answers(url, self._terminology) if self._definitions.value_set(url) is not None else None

    def _at_most(self, url: str, type_code: str, path: str) -> Check | None:
        """A required binding over an extensible or preferred one: a text without codings stays allowed."""
        members = self.members(url, path)
        if members is None:
            return None
        check = _bound(members, type_code, partial(_at_most, members))
        if check is None or type_code != "CodeableConcept":
            return check
        return lambda value: check(value) if type(value) is dict and value.get("coding") else None

    def _extensible(self, url: str, type_code: str) -> Check:
        """A code of a system at hand that the value set does not have; the value set is expanded when first needed."""
        cell: list[Members | None] = []
        known = self._terminology.known

        def of_coding(coding: Any, path: str) -> list[Finding] | None:
            if type(coding) is not dict:
                return None
            system, code = coding.get("system"), coding.get("code")
            if not isinstance(system, str) or not isinstance(code, str) or known(system, code) is None:
                return None
            members = cell[0]
            return _extensible(members, code, path) if members is not None else None

        def check(value: Any) -> list[Finding] | None:
            if type(value) is not dict:
                return None
            if not cell:
                cell.append(self.members(url))
            members = cell[0]
            if members is None:
                return None
            if type_code == "Coding":
                return None if members.has(value.get("system"), value.get("code")) else of_coding(value, "")
            codings = value.get("coding")
            if type(codings) is not list:
                return None
            for coding in codings:
                if _is_member(members, coding):
                    return None
            found = (of_coding(coding, f".coding[{index}]") for index, coding in enumerate(codings))
            return next((bad for bad in found if bad is not None), None)

        return check


def _required(members: Members, sent: Any, path: str) -> list[Finding]:
    return [Finding("code-invalid", "binding-required", members.says + _near(members, sent), path)]


def _at_most(members: Members, sent: Any, path: str) -> list[Finding]:
    return [Finding("code-invalid", "binding-max", members.says + _near(members, sent), path)]


def _extensible(members: Members, sent: Any, path: str) -> list[Finding]:
    text = f"{members.says}{_near(members, sent)}; another code is right only where none of these can say it"
    return [Finding("code-invalid", "binding-extensible", text, path, "warning")]


def _near(members: Members, sent: Any) -> str:
    return members.near(sent) if isinstance(sent, str) else ""


def _of_list(url: str, expansion: Codes) -> Members:
    codes = frozenset[str]().union(*expansion.values())
    parts = [f"{listed(members)} (of {system})" for system, members in sorted(expansion.items())[:4]]
    suggested: dict[str, str] = {}

    def has(system: Any, code: Any) -> bool:
        return isinstance(system, str) and isinstance(code, str) and code in expansion.get(system, ())

    def near(code: str) -> str:
        return nearest(code, codes, suggested) if len(codes) <= _SEARCHED_AT_MOST else ""

    return Members(codes.__contains__, has, f"Not a code of {url}: {'; '.join(parts)}", near, codes)


def _of_form(url: str, form: Form) -> Members:
    def holds(code: str) -> bool:
        return form.well_formed(code) is not None

    def has(system: Any, code: Any) -> bool:
        return system == form.system and isinstance(code, str) and holds(code)

    return Members(holds, has, f"Not a code of {url}: it must be {form.says}", lambda code: "")


def _of_answers(url: str, terminology: Terminology) -> Members:
    """A value set without a list: only what it is known not to hold is wrong."""

    @lru_cache(maxsize=_KEPT)
    def kept(system: str | None, code: str) -> bool:
        return terminology.contains(url, system, code) is not False

    def possible(system: str | None, code: str) -> bool:
        short = len(code) <= LONGEST and (system is None or len(system) <= LONGEST)
        return kept(system, code) if short else kept.__wrapped__(system, code)

    def has(system: Any, code: Any) -> bool:
        return isinstance(system, str) and isinstance(code, str) and possible(system, code)

    text = f"Not a code of {url}" + (f": it must be {SAYS[url]}" if url in SAYS else "")
    return Members(partial(possible, None), has, text, lambda code: "")


def _is_member(members: Members, coding: Any) -> bool:
    return type(coding) is dict and members.has(coding.get("system"), coding.get("code"))


def _bound(members: Members, type_code: str, failure: Failure) -> Check | None:
    if type_code in _TEXTUAL:
        return _code(members.holds, failure) if members.codes is None else _listed(members.codes, failure)
    makers = {"Coding": _coding, "CodeableConcept": _concept, "Quantity": _quantity}
    maker = makers.get(type_code)
    return maker(members, failure) if maker else None


def _code(holds: Callable[[str], bool], failure: Failure) -> Check:
    def check(value: Any) -> list[Finding] | None:
        if type(value) is not str or holds(value) or not value or value != value.strip():
            return None
        return failure(value, "")

    return check


def _listed(codes: frozenset[str], failure: Failure) -> Check:
    """As `_code`, of a list: every resource has a status, so a call less counts."""

    def check(value: Any) -> list[Finding] | None:
        if type(value) is not str or value in codes or not value or value != value.strip():
            return None
        return failure(value, "")

    return check


def _coding(members: Members, failure: Failure) -> Check:
    def check(value: Any) -> list[Finding] | None:
        if type(value) is not dict or _is_member(members, value):
            return None
        return failure(value.get("code"), "")

    return check


def _concept(members: Members, failure: Failure) -> Check:
    def check(value: Any) -> list[Finding] | None:
        if type(value) is not dict:
            return None
        codings = value.get("coding")
        codings = codings if isinstance(codings, list) else []
        for coding in codings:
            if _is_member(members, coding):
                return None
        sent = codings[0].get("code") if codings and isinstance(codings[0], dict) else None
        return failure(sent, ".coding")

    return check


def _quantity(members: Members, failure: Failure) -> Check:
    def check(value: Any) -> list[Finding] | None:
        if type(value) is not dict or "code" not in value or _is_member(members, value):
            return None
        return failure(value["code"], ".code")

    return check
