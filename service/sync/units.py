"""The trial's units, and quantities converted to them exactly with the original beside: mappings/ehr/units.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from service.errors import Unprocessable
from service.fhir import ucum
from service.fhir.ucum_conversion import Conversion, convert
from service.settings import shipped
from service.trial.mapping.identity import BASE
from service.trial.mapping.source import read_yaml

ORIGINAL = f"{BASE}/StructureDefinition/original-quantity"
Units = Mapping[tuple[str, str], str]


@cache
def trial_units() -> Units:
    """Unit by (system, code). Raises Unprocessable with what is wrong in the file."""
    source = read_yaml(shipped("mappings", "ehr", "units.yaml"), "units.yaml")
    rows = source.value.get("units") if isinstance(source.value, dict) else None
    found: dict[tuple[str, str], str] = {}
    for number, row in enumerate(rows if isinstance(rows, list) else []):
        code = row.get("code") if isinstance(row, dict) else None
        if not isinstance(code, dict) or not all(isinstance(code.get(key), str) for key in ("system", "code")):
            source.wrong(("units", number, "code"), "a system and a code are needed")
        elif not isinstance(row.get("unit"), str) or ucum.parse(row["unit"]) is None:
            source.wrong(("units", number, "unit"), "a unit of UCUM is needed")
        else:
            found[code["system"], code["code"]] = row["unit"]
    if not found:
        source.wrong(("units",), "a list of codes with their units is needed")
    if source.issues:
        raise Unprocessable(issues=source.issues)
    return found


class Unclear(Exception):
    """A quantity that is left as it is: its unit is none of UCUM, or leads to another kind of quantity."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        super().__init__("the unit cannot be converted")


def converted(quantity: dict[str, Any], unit: str) -> dict[str, Any]:
    """The quantity in `unit`, with the original in an extension; itself where it is in that unit already.

    Raises Unclear. A unit that is printed, not coded, is never read as a code.
    """
    value = quantity.get("value")
    if value is None:
        return quantity
    code = quantity.get("code")
    if quantity.get("system") != ucum.SYSTEM or not isinstance(code, str):
        raise Unclear(str(quantity.get("unit") or code or ""))
    if code == unit:
        return quantity
    try:
        result = _conversion(str(value), code, unit)
    except Unprocessable:
        raise Unclear(code) from None
    kept = {name: one for name, one in quantity.items() if name in ("id", "extension", "comparator", "_comparator")}
    kept["extension"] = [*kept.get("extension", []), {"url": ORIGINAL, "valueQuantity": _plain(quantity)}]
    return {**kept, "value": result.value, "unit": unit, "system": ucum.SYSTEM, "code": unit}


@lru_cache(maxsize=65536)
def _conversion(value: str, code: str, unit: str) -> Conversion:
    """Kept for the values seen last, by their digits: 1.0 and 1.00 are equal, and not the same."""
    return convert(Decimal(value), code, unit)


def _plain(quantity: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in quantity.items() if name in ("value", "comparator", "unit", "system", "code")}
