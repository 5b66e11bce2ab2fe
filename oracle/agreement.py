"""Whether two validators say the same of a resource: the verdict, and where the errors are.

Two places agree when they are one element, or one is the parent of the other (a missing child is named by one, its
parent by the other). `value[x]` counts as one element whatever its type, `_name` as `name`; an index that one of the
two leaves out fits any. The errors of an invariant agree by its key, wherever they stand. What one side says besides,
on the way from the whole resource to a place where both have an error or below that place, follows from that error.
Where the engine stops before its end, there is nothing to compare but that it stopped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oracle.engine import Message
from service.errors import Issue

_NOISE = re.compile(
    r"/\*.*?\*/|\.ofType\([^)]*\)|\[url=[^\]]*\]|:[A-Za-z][\w-]*(?=[.\[]|$)|(?<=xtension)(\[\d+\])?\.url$"
)
_STEP = re.compile(r"([^.\[\]]+)(?:\[(\d+|x)\])?")
Step = tuple[str, str | None]


@dataclass(frozen=True)
class Disagreement:
    """An error of one side (`ours` or `engine`) that the other does not have. `rule`: our rule or the message id.

    `both`: the two call the resource invalid all the same.
    """

    case: str
    side: str
    rule: str
    path: str
    text: str
    both: bool


def steps(path: str) -> tuple[Step, ...]:
    """`Observation.value.ofType(Quantity).code` → Observation, value, code, each with its index."""
    found = (match.groups() for match in _STEP.finditer(_NOISE.sub("", path)))
    return tuple((name.removeprefix("_"), index if index != "x" else None) for name, index in found)


def _same(first: Step, second: Step) -> bool:
    (name, index), (other, other_index) = first, second
    if index is not None and other_index is not None and index != other_index:
        return False
    short, long = sorted((name, other), key=len)
    return short == long or (long.startswith(short) and long[len(short)].isupper())


def near(first: str, second: str) -> bool:
    """Whether the places are one element, or parent and child."""
    one, other = steps(first), steps(second)
    return abs(len(one) - len(other)) <= 1 and all(map(_same, one, other))


def _agree(issue: Issue, message: Message) -> bool:
    return message.id.endswith(f"#{issue.rule}") or near(issue.expression or "", message.location)


def _follows(path: str, agreed: Iterable[str]) -> bool:
    """Whether the place is above or below one where both have an error."""
    own = steps(path)
    return any(all(map(_same, own, steps(other))) for other in agreed)


def disagreements(case: str, ours: Sequence[Issue], theirs: Sequence[Message]) -> list[Disagreement]:
    """The errors of each side that the other does not have at that place."""
    issues = [issue for issue in ours if issue.severity == "error"]
    messages = [message for message in theirs if message.is_error]
    both = bool(issues and messages)
    stopped = [message for message in messages if message.severity == "fatal" and not message.location]
    if stopped:
        return [Disagreement(case, "engine", message.id, "", message.text, both) for message in stopped]
    pairs = [(issue, message) for issue in issues for message in messages if _agree(issue, message)]
    agreed = {issue.expression or "" for issue, _ in pairs} | {message.location for _, message in pairs}
    alone = [
        Disagreement(case, "ours", issue.rule or "", issue.expression or "", issue.text, both)
        for issue in issues
        if not _follows(issue.expression or "", agreed)
    ]
    return alone + [
        Disagreement(case, "engine", message.id, message.location, message.text, both)
        for message in messages
        if not _follows(message.location, agreed)
    ]
