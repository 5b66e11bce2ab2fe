"""What keeps an answer from being true: a system, a version or a rule that is not at hand, or a list without end."""

from __future__ import annotations

from collections.abc import Iterable

from service.errors import Issue, NotFound, Unprocessable


class Unanswerable(Unprocessable):
    """What is at hand does not suffice: each issue is `not-supported` or `too-costly` and names what is missing."""

    code, rule = "not-supported", "unknown-terminology"


Verdict = bool | Unanswerable  # yes, no, or why neither can be said


def missing(text: str) -> Unanswerable:
    """Something that the answer needs is not at hand."""
    return Unanswerable(text)


def too_costly(text: str) -> Unanswerable:
    """A list that has no end or is too long for one answer."""
    return Unanswerable(issues=[Issue("too-costly", text, None, "terminology-too-costly")])


def unknown(text: str) -> NotFound:
    """The value set, code system or map that was asked for by its canonical is not here."""
    return NotFound(text, code="not-supported", rule="unknown-terminology")


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """True where one is; else why it cannot be said, with every reason; else False."""
    return _settled(verdicts, True)


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """False where one is; else why it cannot be said, with every reason; else True."""
    return _settled(verdicts, False)


def opposite(verdict: Verdict) -> Verdict:
    """No for yes and yes for no."""
    return verdict if isinstance(verdict, Unanswerable) else not verdict


def _settled(verdicts: Iterable[Verdict], decisive: bool) -> Verdict:
    reasons: dict[Issue, None] = {}
    for verdict in verdicts:
        if isinstance(verdict, Unanswerable):
            reasons |= dict.fromkeys(verdict.issues)
        elif verdict is decisive:
            return decisive
    return Unanswerable(issues=list(reasons)) if reasons else not decisive
