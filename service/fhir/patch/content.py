"""Values of FHIRPath Patch: made from parts of Parameters, put into objects and lists of FHIR JSON.

Ids and extensions of primitives stand beside them, under the name with an underscore; what happens to an array of
primitives happens to the array beside it: https://hl7.org/fhir/R4/json.html#primitive
"""

from __future__ import annotations

from typing import Any

from service.errors import Unprocessable
from service.fhir.patch.json_patch import duplicate
from service.fhir.patch.path import Part


def missing(text: str) -> Unprocessable:
    """The error of a path that does not lead to what the operation needs."""
    return Unprocessable(text, rule="patch-path-missing")


def items_of(holder: dict[str, Any], part: Part) -> list[Any]:
    """The array of the element; an empty one is made where there is none."""
    items = holder.setdefault(part.key, [])
    if not isinstance(items, list):
        raise missing("what stands at the path is no list")
    return items


def beside(holder: dict[str, Any], part: Part, size: int) -> list[Any]:
    """The array of ids and extensions beside an array of primitives, as long as that."""
    extras = holder.setdefault(f"_{part.key}", [])
    if not isinstance(extras, list):
        raise missing("what stands at the path is no list")
    extras += [None] * (size - len(extras))
    return extras


def insert(holder: dict[str, Any], part: Part, index: int, value: Any, extra: Any) -> None:
    """Puts an item into the array; `extra` are the id and extensions of a primitive."""
    items = items_of(holder, part)
    if extra is not None or f"_{part.key}" in holder:
        beside(holder, part, len(items)).insert(index, extra)
    items.insert(index, value)


def tidy(holder: dict[str, Any], part: Part) -> None:
    """Removes arrays in which nothing is left."""
    for key in (part.key, f"_{part.key}"):
        if not any(item is not None for item in holder.get(key, [None])):
            holder.pop(key, None)


def put(holder: dict[str, Any], key: str, value: Any, extra: Any) -> None:
    """Sets an element that does not repeat."""
    if value is not None:
        holder[key] = value
    if extra is not None:
        holder[f"_{key}"] = extra


def built(parts: tuple[Part, ...], holder: dict[str, Any], said: dict[str, Any]) -> tuple[Part, Any, Any]:
    """(the element meant, its value, its id and extensions where it is primitive) of a `value` part."""
    if "part" in said:
        return parts[0], _anonymous(parts[0], said["part"]), None
    if "resource" in said:
        return parts[0], duplicate(said["resource"]), None
    name = next((key.removeprefix("_") for key in said if key.startswith(("value", "_value"))), None)
    if name is None:
        raise Unprocessable("the value is missing", rule="patch-value-missing")
    part = parts[0]
    if part.choice:
        suffix = name.removeprefix("value")
        fitting = [one for one in parts if capital(one.code) == suffix]
        if not fitting:
            raise Unprocessable("the element does not take a value of this type", rule="patch-value-type")
        part = fitting[0]
    return part, duplicate(said.get(name)), duplicate(said.get(f"_{name}"))


def _anonymous(part: Part, said: Any) -> dict[str, Any]:
    """The object that nested parts say, each named as the element that it is."""
    made: dict[str, Any] = {}
    for one in said if isinstance(said, list) else ():
        name = one.get("name") if isinstance(one, dict) else None
        parts = part.inside(made, name) if isinstance(name, str) else ()
        if not parts:
            raise Unprocessable("a part of the value is no element of its type", rule="patch-value-type")
        inner, value, extra = built(parts, made, one)
        if inner.repeats:
            insert(made, inner, len(items_of(made, inner)), value, extra)
        elif inner.key in made:
            raise Unprocessable("an element of the value stands twice and does not repeat", rule="patch-element-exists")
        else:
            put(made, inner.key, value, extra)
    return made


def capital(code: str) -> str:
    return code[:1].upper() + code[1:]
