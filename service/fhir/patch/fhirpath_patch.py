"""FHIRPath Patch: a Parameters resource that says what to add, insert, delete, replace and move, and where.

Source: https://hl7.org/fhir/R4/fhirpatch.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.errors import BadRequest, CartFhirError, Issue, Unprocessable
from service.fhir.patch.content import beside, built, capital, insert, items_of, missing, put, tidy
from service.fhir.patch.json_patch import MAX_OPERATIONS
from service.fhir.patch.path import Part, Place, Step, parse, places

_NEEDS = {
    "add": ("path", "name", "value"),
    "insert": ("path", "value", "index"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}
_TYPES = {"type": ("Code", "String"), "path": ("String",), "name": ("String",)}
_NUMBERS = ("index", "source", "destination")
_INTEGERS = ("Integer", "UnsignedInt", "PositiveInt")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `value` is the part that says it, `place` where the operation stands."""

    place: str
    type: str
    path: tuple[Step, ...]
    name: str = ""
    value: dict[str, Any] | None = None
    index: int = 0
    source: int = 0
    destination: int = 0


@dataclass(frozen=True, slots=True)
class FhirPathPatch:
    """The operations of one patch in their order; `root` knows the elements of every resource."""

    operations: tuple[Operation, ...]
    root: Part

    @classmethod
    def read(cls, parameters: dict[str, Any], root: Part) -> FhirPathPatch:
        """The patch that a Parameters resource says. Raises BadRequest with every finding at its place."""
        entries = parameters.get("parameter", [])
        if parameters.get("resourceType") != "Parameters" or not isinstance(entries, list) or not entries:
            text = "A FHIRPath Patch is a Parameters resource with at least one operation"
            raise BadRequest(text, expression="Parameters.parameter", code="required", rule="patch-malformed")
        if len(entries) > MAX_OPERATIONS:
            text = f"The patch has more than {MAX_OPERATIONS} operations"
            raise BadRequest(text, expression="Parameters.parameter", code="too-costly", rule="patch-too-long")
        issues: list[Issue] = []
        operations = []
        for index, entry in enumerate(entries):
            place = f"Parameters.parameter[{index}]"
            try:
                operations.append(_operation(place, entry))
            except BadRequest as error:
                issues += [Issue(i.code, f"Operation {index}: {i.text}", place, i.rule) for i in error.issues]
        if issues:
            raise BadRequest(issues=issues)
        return cls(tuple(operations), root)

    def apply(self, resource: dict[str, Any]) -> Any:
        """The patched resource, changed in place. Raises Unprocessable at the place of the operation."""
        start = Place({"": resource}, self.root)
        for index, operation in enumerate(self.operations):
            try:
                _APPLY[operation.type](operation, start)
            except CartFhirError as error:
                text = f"Operation {index} ({operation.type}): {error}"
                raise Unprocessable(text, expression=operation.place, rule=error.issues[0].rule) from None
        return resource


def _operation(place: str, entry: Any) -> Operation:
    if not isinstance(entry, dict) or entry.get("name") != "operation" or not isinstance(entry.get("part"), list):
        raise _malformed("every parameter is named operation and has parts")
    parts: dict[str, dict[str, Any]] = {}
    for part in entry["part"]:
        name = part.get("name") if isinstance(part, dict) else None
        if name not in (*_TYPES, *_NUMBERS, "value"):
            raise _malformed(f"its parts are {', '.join((*_TYPES, 'value', *_NUMBERS))}")
        if parts.setdefault(name, part) is not part:
            raise _malformed(f"{name} stands twice")
    type_ = _text(parts, "type")
    if type_ not in _NEEDS:
        raise _malformed(f"type is one of {', '.join(_NEEDS)}")
    for name in _NEEDS[type_]:
        if name not in parts:
            raise _malformed(f"{type_} needs {name}")
    numbers = {name: _number(parts[name], name) for name in _NUMBERS if name in parts}
    return Operation(place, type_, parse(_text(parts, "path")), _text(parts, "name"), parts.get("value"), **numbers)


def _text(parts: dict[str, dict[str, Any]], name: str) -> str:
    if name not in parts:
        return ""
    text = next((parts[name][f"value{kind}"] for kind in _TYPES[name] if f"value{kind}" in parts[name]), None)
    if not isinstance(text, str):
        raise _malformed(f"{name} is a value{_TYPES[name][0]}")
    return text


def _number(part: dict[str, Any], name: str) -> int:
    number = next((part[f"value{kind}"] for kind in _INTEGERS if f"value{kind}" in part), None)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise _malformed(f"{name} is a valueInteger, 0 or more")
    return number


def _malformed(text: str) -> BadRequest:
    return BadRequest(text, rule="patch-malformed")


def _one(found: list[Place]) -> Place:
    if len(found) != 1:
        raise missing("the path leads nowhere" if not found else "the path gives several elements; it must give one")
    return found[0]


def _element(operation: Operation, start: Place) -> Place:
    """The one element that the path gives, which is not the resource itself."""
    place = _one(places(operation.path, start))
    if place.parent is None:
        raise missing("the path names the resource itself")
    return place


def _add(operation: Operation, start: Place) -> None:
    place = _one(places(operation.path, start))
    if not isinstance(place.value, dict):
        raise missing("what stands at the path has no elements")
    holder: dict[str, Any] = place.value
    parts = place.part.inside(holder, operation.name)
    if not parts:
        raise missing("there is no element of this name at the path")
    part, value, extra = built(parts, holder, operation.value or {})
    if part.repeats:
        size = len(items_of(holder, part))
        insert(holder, part, size, value, extra)
        return
    if any(other.key in holder or f"_{other.key}" in holder for other in parts):
        raise Unprocessable("the element is there already and does not repeat", rule="patch-element-exists")
    put(holder, part.key, value, extra)


def _insert_operation(operation: Operation, start: Place) -> None:
    holder, part = _collection(operation, start)
    if operation.index > len(items_of(holder, part)):
        raise missing("the index is beyond the end of the list")
    part, value, extra = built((part,), holder, operation.value or {})
    insert(holder, part, operation.index, value, extra)


def _delete(operation: Operation, start: Place) -> None:
    found = places(operation.path, start)
    if found:  # what is not there need not be deleted
        _take_away(_element(operation, start))


def _replace(operation: Operation, start: Place) -> None:
    place = _element(operation, start)
    holder, key = place.holder, place.part.key
    same = (place.part,)
    if place.part.choice and place.parent is not None:
        same = place.parent.part.inside(holder, key.removesuffix(capital(place.part.code))) or same
    part, value, extra = built(same, holder, operation.value or {})
    if place.index is not None:
        items = items_of(holder, part)
        items[place.index] = value
        if extra is not None or f"_{key}" in holder:
            beside(holder, part, len(items))[place.index] = extra
            tidy(holder, part)
        return
    holder.pop(f"_{key}", None)
    if part.key != key:
        holder.pop(key, None)
    put(holder, part.key, value, extra)


def _move(operation: Operation, start: Place) -> None:
    holder, part = _collection(operation, start)
    items = items_of(holder, part)
    if max(operation.source, operation.destination) >= len(items):
        raise missing("source or destination is beyond the end of the list")
    lists = [items, *([beside(holder, part, len(items))] if f"_{part.key}" in holder else [])]
    for one in lists:
        one.insert(operation.destination, one.pop(operation.source))


_APPLY = {"add": _add, "insert": _insert_operation, "delete": _delete, "replace": _replace, "move": _move}


def _collection(operation: Operation, start: Place) -> tuple[dict[str, Any], Part]:
    """What holds the list that the path names, and the element of the list."""
    if not operation.path or operation.path[-1].kind != "name":
        raise missing("the path must end in the name of a list")
    place = _one(places(operation.path[:-1], start))
    parts = place.part.inside(place.value, operation.path[-1].name) if isinstance(place.value, dict) else ()
    if len(parts) != 1 or not parts[0].repeats:
        raise missing("the path does not name a list")
    return place.value, parts[0]


def _take_away(place: Place) -> None:
    """Removes the element, and what becomes empty by that: ele-1, an element has a value or children."""
    holder, key = place.holder, place.part.key
    if place.index is None:
        holder.pop(key, None)
        holder.pop(f"_{key}", None)
    else:
        items = items_of(holder, place.part)
        if f"_{key}" in holder:
            beside(holder, place.part, len(items)).pop(place.index)
        items.pop(place.index)
        tidy(holder, place.part)
    if not holder and place.parent is not None and place.parent.parent is not None:
        _take_away(place.parent)
