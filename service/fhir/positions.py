"""Where an element stands in a JSON text: line and column, 1-based, counted in characters.

Only read when something is wrong: members that nobody asks for are skipped by the decoder's own scanner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from json import JSONDecodeError, JSONDecoder
from json.decoder import scanstring

Steps = tuple[str | int, ...]  # names and indices below the root, such as ("entry", 1, "resource", "status")
Position = tuple[int, int]  # line, column
_Left = tuple[Steps, Steps]  # what is left of a path, and the whole of it
_Following = dict[str | int, list[_Left]]  # by the next step

_STEP = re.compile(r"\.(?P<name>[A-Za-z_]\w*)|\[(?P<index>\d{1,9})\]")
_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")
_SPACE = re.compile(r"[ \t\r\n]*")
_skip = JSONDecoder().raw_decode


def steps(expression: str) -> Steps:
    """`Bundle.entry[1].resource.status` as steps below the root; ends where the expression is no plain path."""
    found: list[str | int] = []
    place = len(re.match(r"\w*", expression)[0])  # type: ignore[index]
    while match := _STEP.match(expression, place):
        found.append(match["name"] or int(match["index"]))
        place = match.end()
    return tuple(found)


def written(root: str, path: Steps) -> str:
    """Steps as an expression; it ends before a name that looks like no element, which may be data."""
    parts = [root if _NAME.fullmatch(root) else "Resource"]
    for step in path:
        if isinstance(step, str) and not _NAME.fullmatch(step):
            break
        parts.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(parts)


def positions(body: bytes, wanted: Iterable[Steps]) -> dict[Steps, Position]:
    """Where each of `wanted` stands: its name, or its first character in an array; of an absent one what is around it.

    Extensions and the id of a primitive are found in the member with an underscore.
    """
    try:
        text = body.decode()
        found = _Walk(text, set(wanted)).found
    except (UnicodeDecodeError, JSONDecodeError, IndexError, RecursionError):
        return {}
    placed = _placed(text, [offset for _, offset in found.values()])
    return {path: placed[offset] for path, (_, offset) in found.items()}


class _Walk:
    """Finds offsets; `found` maps the wanted steps to the deepest place seen so far: how deep, and where."""

    def __init__(self, text: str, wanted: set[Steps]) -> None:
        self.text = text
        start = self._space(0)
        self.found: dict[Steps, tuple[int, int]] = dict.fromkeys(wanted, (0, start))
        self._value(start, [(path, path) for path in wanted], 0)

    def _value(self, place: int, wanted: list[_Left], depth: int) -> int:
        """The end of the value at `place`; `wanted` are the paths that lead to or through it."""
        following: dict[str | int, list[_Left]] = {}
        for rest, whole in wanted:
            if rest:
                following.setdefault(rest[0], []).append((rest[1:], whole))
        if following and self.text[place] == "{":
            return self._object(place + 1, following, depth + 1)
        if following and self.text[place] == "[":
            return self._array(place + 1, following, depth + 1)
        return _skip(self.text, place)[1]

    def _object(self, place: int, following: _Following, depth: int) -> int:
        place = self._space(place)
        while self.text[place] == '"':
            name, end = scanstring(self.text, place + 1)
            value = self._space(self._space(end) + 1)
            inside = following.get(name, [])
            if name.startswith("_"):
                inside = inside + [left for left in following.get(name[1:], []) if _of_primitive(left[0])]
            place = self._next(self._seen(value, inside, place, depth))
        return place + 1

    def _array(self, place: int, following: _Following, depth: int) -> int:
        place, index = self._space(place), 0
        while self.text[place] != "]":
            place = self._next(self._seen(place, following.get(index, []), place, depth))
            index += 1
        return place + 1

    def _seen(self, value: int, inside: list[_Left], place: int, depth: int) -> int:
        for _, whole in inside:
            if depth >= self.found[whole][0]:
                self.found[whole] = (depth, place)
        return self._value(value, inside, depth) if inside else _skip(self.text, value)[1]

    def _next(self, place: int) -> int:
        """The start of the next member or item, or the bracket that closes."""
        place = self._space(place)
        return self._space(place + 1) if self.text[place] == "," else place

    def _space(self, place: int) -> int:
        return _SPACE.match(self.text, place).end()  # type: ignore[union-attr]


def _of_primitive(rest: Steps) -> bool:
    name = next((step for step in rest if isinstance(step, str)), None)
    return name in ("extension", "id")


def _placed(text: str, offsets: list[int]) -> dict[int, Position]:
    """Offsets to lines and columns, in one pass."""
    found, line, start, seen = {}, 1, 0, 0
    for offset in sorted(set(offsets)):
        line += text.count("\n", seen, offset)
        start = max(start, text.rfind("\n", seen, offset) + 1)
        found[offset], seen = (line, offset - start + 1), offset
    return found
