"""Is a text a code of UCUM, and if not, which one may have been meant?

Every unit of UCUM counts, also those that cannot be converted. Case counts: `mL` and `ml` are one unit, `ML` is a
megalitre, `K/uL` has a kelvin in it, and `NG/ML` is none. Annotations may hold blanks: R4's own `ucum-common` has such.
Source: https://ucum.org/ucum (sections 1 to 3, case sensitive)
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache

from service.fhir.ucum import PREFIXES, SCALES, Measure, measure, tokens_of
from service.fhir.ucum_units import BASES, METRIC, OTHER_METRIC, OTHER_PLAIN, OWN_METRIC, OWN_PLAIN, PLAIN, VERSION

__all__ = ["VERSION", "preferred", "suggestion", "wrong"]

LONGEST = 255  # characters of a code that are looked at
TAKES_PREFIX = frozenset({*BASES, *METRIC, *OWN_METRIC, *OTHER_METRIC, "Cel"})
ATOMS = frozenset({*TAKES_PREFIX, *PLAIN, *OWN_PLAIN, *OTHER_PLAIN, *SCALES})
# What laboratories write and UCUM does not know: https://ucum.org/docs/common-units, and the ISMP's list of errors.
SPELLINGS = {
    "mcg": "ug", "µg": "ug", "μg": "ug", "mcl": "uL", "µl": "uL", "μl": "uL", "µmol": "umol", "μmol": "umol",
    "µkat": "ukat", "μkat": "ukat", "cc": "mL", "gm": "g", "gr": "g", "sec": "s", "hr": "h", "hrs": "h", "hour": "h",
    "hours": "h", "day": "d", "days": "d", "week": "wk", "weeks": "wk", "month": "mo", "months": "mo", "year": "a",
    "years": "a", "yr": "a", "minute": "min", "minutes": "min", "iu": "[IU]", "miu": "m[IU]", "uiu": "u[IU]",
    "mmhg": "mm[Hg]", "cmh2o": "cm[H2O]", "°c": "Cel", "degc": "Cel", "°f": "[degF]", "meq": "meq", "mosm": "mosm",
    "lb": "[lb_av]", "lbs": "[lb_av]", "in": "[in_i]", "ft": "[ft_i]", "cells": "{cells}", "cell": "{cell}",
    "copies": "{copies}", "percent": "%", "hpf": "[HPF]", "ppm": "[ppm]",
}  # fmt: skip
_WORD = re.compile(r"\{[^{}]*\}|10[*^][+-]?\d+|[^./(){}\s]+")
_BETWEEN = re.compile(r"[^{}]*(?:\{[ -z|~]*\}[^{}]*)*")


def wrong(code: str) -> str | None:
    """Why the text is no code of UCUM, with what may have been meant; None where it is one."""
    reason = _reason(code)
    if reason is None:
        return None
    meant = suggestion(code)
    return f"not a code of UCUM: {reason}" + (f"; did you mean {meant}?" if meant else "")


def _reason(code: str) -> str | None:
    if not code or len(code) > LONGEST:
        return "it is empty" if not code else f"it has more than {LONGEST} characters"
    outside = re.sub(r"\{[^{}]*\}", "", code)
    if re.search(r"\s", outside):
        return "it has blanks"
    if not _BETWEEN.fullmatch(code):
        return "an annotation {…} holds printable ASCII and no further braces"
    try:
        unknown = [token["atom"] for token in reversed(tokens_of(code)) if token["atom"] and not _known(token["atom"])]
        if unknown:
            return f"it has no unit {unknown[0]}"
        measure(code, _one)
    except ValueError as error:
        return str(error)
    return None


def _known(atom: str) -> bool:
    if atom in ATOMS:
        return True
    return any(atom[:length] in PREFIXES and atom[length:] in TAKES_PREFIX for length in (1, 2))


def _one(atom: str) -> Measure:
    return Fraction(1), {}


def suggestion(code: str) -> str | None:
    """The code that was probably meant: the same letters in other cases, or a spelling of laboratories."""
    if len(code) > LONGEST:
        return None
    text = re.sub(r"(?:x\s*|\A)10[\^*]?[eE]?(\d{1,2})(?=/|\Z)", r"10*\1", code.strip())
    text = re.sub(r"\s*([./])\s*", r"\1", text)
    shouted = not any(char.islower() for char in text)
    found = _WORD.sub(lambda word: _meant(word[0], shouted), text)
    return found if found != code and _reason(found) is None else None


def _meant(word: str, shouted: bool) -> str:
    """The unit behind a word, with its power; the word itself where it is one, or none is found.

    In a code that is all in capitals a megalitre is none: `NG/ML` was `ng/mL` once.
    """
    try:
        tokens = tokens_of(word)
    except ValueError:
        tokens = []
    if not shouted and tokens and all(not token["atom"] or _known(token["atom"]) for token in tokens):
        return word
    match = re.fullmatch(r"(.*?)([+-]?\d*)", word, re.DOTALL)
    assert match is not None
    name, power = match.groups()
    meant = SPELLINGS.get(name.casefold()) or _by_letters().get(name.casefold())
    return meant + power if meant else word


@cache
def _by_letters() -> dict[str, str]:
    """Units by their letters in lower case; of several the one that laboratories write most: m before M, L before l."""
    order = ("", "m", "u", "n", "p", "k", "d", "c", "f", "M", "G", "T", "da", "h", "a", "P", "E", "z", "Z", "y", "Y")
    found: dict[str, str] = {}
    for prefix in order:
        for atom in sorted(ATOMS if not prefix else TAKES_PREFIX, key=lambda one: (one not in _FIRST, one)):
            found.setdefault((prefix + atom).casefold(), prefix + atom)
    return found


_FIRST = frozenset({"g", "m", "s", "L", "mol", "U", "kat", "K", "h", "d", "Cel", "Hz", "Pa", "J", "W", "A", "V"})


def preferred(code: str) -> str:
    """A valid code with `L` in place of `l` for litres, as laboratories and HL7 advise: the same unit."""
    if _reason(code) is not None:
        return code
    pieces = []
    for token in reversed(tokens_of(code)):
        atom = token["atom"]
        litre = atom is not None and (atom == "l" or (atom[-1:] == "l" and atom not in ATOMS and atom[:-1] in PREFIXES))
        pieces.append(f"{atom[:-1]}L{token['power'] or ''}" if litre else token[0])
    return "".join(pieces)
