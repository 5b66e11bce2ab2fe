"""Where an element stands in an XML document, by the same steps as in JSON: line and column, 1-based.

Only read when something is wrong, after the document was read once without an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from xml.parsers import expat

from service.fhir.positions import Position, Steps

_Place = tuple[tuple[str, int], ...]  # element names with their numbers among the siblings of that name


def positions(body: bytes, wanted: Iterable[Steps]) -> dict[Steps, Position]:
    """Where each of `wanted` stands; of what is absent, or an attribute, the element around it."""
    walk = _Walk({path: _place(path) for path in wanted})
    try:
        walk.parser.Parse(body, True)
    except expat.ExpatError:
        return {}
    return {path: walk.nearest(place) for path, place in walk.wanted.items()}


def _place(path: Steps) -> _Place:
    found: list[tuple[str, int]] = []
    for step in path:
        if isinstance(step, int) and found:
            found[-1] = (found[-1][0], step)
        elif isinstance(step, str):
            found.append((step, 0))
    return tuple(found)


class _Walk:
    """Follows the elements; those on the way to a wanted one leave their positions in `seen`."""

    def __init__(self, wanted: dict[Steps, _Place]) -> None:
        self.wanted = wanted
        self._ways = {place[:length] for place in wanted.values() for length in range(len(place) + 1)}
        self._stack: list[tuple[_Place, Counter[str]]] = []
        self.seen: dict[_Place, Position] = {}
        self.parser = expat.ParserCreate("utf-8", " ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def nearest(self, place: _Place) -> Position:
        while place and place not in self.seen:
            place = place[:-1]
        return self.seen.get(place, (1, 1))

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        if not self._stack or name[:1].isupper():  # a resource inside `resource` or `contained` is no step of its own
            place = self._stack[-1][0] if self._stack else ()
        else:
            around, counts = self._stack[-1]
            place = (*around, (name, counts[name]))
            counts[name] += 1
        if place in self._ways:
            self.seen.setdefault(place, (self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1))
        self._stack.append((place, Counter()))

    def _end(self, tag: str) -> None:
        self._stack.pop()
