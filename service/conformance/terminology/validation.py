"""Is a code one of a value set or of a code system, and is its display right?

No is only said where it is known: else the answer is a gap that names what is missing.
Source: https://hl7.org/fhir/R4/valueset-operation-validate-code.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from service.conformance.concepts import ValueSet
from service.conformance.records import canonical
from service.conformance.terminology.composition import Composer, Entry
from service.conformance.terminology.expansion import STEPS, Texts
from service.conformance.terminology.gaps import Unanswerable, Verdict, any_of
from service.conformance.terminology.sources import Sources
from service.conformance.terminology.systems import System
from service.fhir import ucum, ucum_codes


@dataclass(frozen=True, slots=True)
class Coded:
    """A code to be checked, with its system, the system's version and a display where they were sent."""

    system: str
    code: str
    version: str = ""
    display: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What `$validate-code` says; `message` explains a no, or warns beside a yes."""

    result: bool
    message: str = ""
    display: str = ""
    code: str = ""
    system: str = ""


class Checker:
    """Checks codes; `abstract` True takes codes that only group others; `language` is that of the display shown."""

    def __init__(self, sources: Sources, abstract: bool = False, language: str = "") -> None:
        self._sources = sources
        self._composer = Composer(sources, STEPS)
        self._texts = Texts(sources, language)
        self._abstract = abstract

    def in_value_set(self, value_set: ValueSet, codings: Sequence[Coded]) -> Answer:
        """True where one coding is in the value set and its details are right. Raises Unanswerable."""

        def holds(one: Coded) -> Verdict:
            versioned = self._version(one)
            if isinstance(versioned, Unanswerable):
                return versioned
            return self._composer.holds(value_set, one.system, one.code)

        return self._best(codings, holds, lambda one: self._composer.listed(value_set, one.system, one.code), value_set)

    def in_system(self, codings: Sequence[Coded], system: System | None = None) -> Answer:
        """True where one coding is in its code system, or in `system`. Raises Unanswerable."""

        def defines(one: Coded) -> Verdict:
            if system is None:
                return self._sources.defines(one.system, one.code, one.version)
            if system.record.url and one.system and canonical(one.system) != system.record.url:
                return False
            return system.defines(one.code)

        return self._best(codings, defines, lambda one: Entry(), system)

    def _version(self, one: Coded) -> Verdict:
        """A version that was sent with the code must be that at hand, where the system is at hand."""
        if not one.version or self._sources.grammar(one.system):
            return True
        found = self._sources.system(one.system)
        return True if isinstance(found, Unanswerable) else _verdict(self._sources.system(one.system, one.version))

    def _best(
        self,
        codings: Sequence[Coded],
        holds: Callable[[Coded], Verdict],
        listed: Callable[[Coded], Entry],
        of: ValueSet | System | None,
    ) -> Answer:
        verdicts = [holds(one) for one in codings]
        answers = [
            self._detailed(one, listed(one), of if isinstance(of, System) else None)
            for one, verdict in zip(codings, verdicts, strict=True)
            if verdict is True
        ]
        good = next((answer for answer in answers if answer.result), None)
        if good is not None:
            return good
        if answers:
            return answers[0]
        gap = any_of(verdicts)
        if isinstance(gap, Unanswerable):
            raise gap
        message = "; ".join(self._refusal(one, of) for one in codings)
        first = codings[0]
        return Answer(False, message, "", first.code, first.system)

    def _detailed(self, one: Coded, entry: Entry, own: System | None) -> Answer:
        """What there is to say of a code that is there: whether it may be used, and its display."""
        system = own or self._texts.system(one.system)
        code = (system.find(one.code) if system else None) or one.code
        key = (one.system, code)
        if own is not None:
            texts = [own.displays.get(code, ""), *(text.value for text in own.detail(code).designations)]
            display = texts[0]
        else:
            texts, display = self._texts.all(key, entry), self._texts.display(key, entry)
        if self._sources.grammar(one.system) is not None and not texts:
            texts = [code]
        answer = Answer(True, "", display or (texts[0] if texts else ""), code, one.system)
        if system is not None and code in system.abstract and not self._abstract:
            text = f"The code {code} is abstract: it groups others and stands in no record (abstract=true takes it)"
            return replace(answer, result=False, message=text)
        if system is not None and system.complete and code not in system.displays:
            text = f"The value set lists the code {code}, which the code system {system.named} does not define"
            return replace(answer, message=text)
        known = system is not None and bool(system.displays.get(code))
        answer = _displayed(answer, one, texts, known or self._sources.grammar(one.system) is not None)
        return replace(answer, message="; ".join(filter(None, (answer.message, *_hints(answer, system)))))

    def _refusal(self, one: Coded, of: ValueSet | System | None) -> str:
        text = f"The code {one.code} of the system {one.system or '(none)'}"
        grammar = self._sources.grammar(one.system)
        reason = grammar.wrong(one.code) if grammar else None
        if reason is not None:
            return f"{text} is {reason}"
        if isinstance(of, ValueSet):
            found = self._sources.system(one.system) if one.system and not grammar else None
            if isinstance(found, System) and found.complete and found.find(one.code) is None:
                return f"{text} is not defined by that system"
            return f"{text} is not in the value set {of.url or of.name or '(sent)'}"
        return f"{text} is not defined by that system"


def _verdict(found: System | Unanswerable) -> Verdict:
    return found if isinstance(found, Unanswerable) else True


def _displayed(answer: Answer, one: Coded, texts: Sequence[str], known: bool) -> Answer:
    """The answer after the display that was sent has been compared, without regard to case and spaces."""
    if not one.display or _plain(one.display) in {_plain(text) for text in texts}:
        return answer
    if known:
        right = " or ".join(dict.fromkeys(texts[:3]))
        return replace(answer, result=False, message=f"The display is wrong for the code {answer.code}: it is {right}")
    text = f"The display was not checked: the code system {one.system} is not at hand with displays"
    return replace(answer, message=text)


def _hints(answer: Answer, system: System | None) -> list[str]:
    """Warnings beside a yes."""
    hints = []
    if system is not None and answer.code in system.inactive:
        hints.append(f"The code {answer.code} is inactive")
    if answer.system == ucum.SYSTEM and ucum_codes.preferred(answer.code) != answer.code:
        hints.append(f"{ucum_codes.preferred(answer.code)} is the same unit and the better way to write it")
    return hints


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
