"""What the cells of a row may have been: for each column the texts that are possible."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Texts:
    """A set of texts: those in `only` (None: every text), without those in `never`."""

    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()

    def __and__(self, other: Texts) -> Texts:
        never = self.never | other.never
        if self.only is None or other.only is None:
            only = self.only if other.only is None else other.only
        else:
            only = self.only & other.only
        return Texts(None if only is None else only - never, never)

    @property
    def impossible(self) -> bool:
        """No text is left."""
        return self.only is not None and not self.only

    @property
    def text(self) -> str | None:
        """The one text that is left, or None."""
        return next(iter(self.only)) if self.only is not None and len(self.only) == 1 else None


EMPTY = Texts(frozenset({""}))
FILLED = Texts(never=frozenset({""}))


def exactly(*texts: str) -> Texts:
    """One of these texts."""
    return Texts(frozenset(texts))


@dataclass(frozen=True, slots=True)
class Cells:
    """The possible texts of columns; a column that is not named may be anything."""

    texts: dict[str, Texts] = field(default_factory=dict)

    def __and__(self, other: Cells) -> Cells | None:
        """Both at once; None where that is impossible."""
        texts = dict(self.texts)
        for column, more in other.texts.items():
            texts[column] = texts[column] & more if column in texts else more
            if texts[column].impossible:
                return None
        return Cells(texts)

    def without(self, column: str) -> Cells:
        """The same, with nothing said of `column`."""
        return Cells({name: texts for name, texts in self.texts.items() if name != column})


ANYTHING = Cells()


def together(found: Iterable[Cells]) -> Cells | None:
    """All of these at once."""
    result: Cells | None = ANYTHING
    for cells in found:
        result = result & cells if result is not None else None
    return result
