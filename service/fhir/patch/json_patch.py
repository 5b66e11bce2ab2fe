"""JSON Patch, RFC 6902, with the pointers of RFC 6901.

Written here because the libraries quote values of the document in their messages, do not say which operation failed
and take 1 and true for equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from service.errors import BadRequest, Issue, TooLarge, Unprocessable
from service.fhir.json import encode

MAX_OPERATIONS = 1000
MAX_COPIED = 1024 * 1024  # bytes that the `copy` operations of one patch may make: each can double the document

_NEEDS = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}
_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,8})\Z")
_POINTER = re.compile(r"(?:/(?:[^/~]|~[01])*)*\Z")

Pointer = tuple[str, ...]


class _Nowhere(Exception):
    """The pointer leads to nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation. Pointers begin with "": the key of the document in what holds it."""

    op: str
    path: Pointer
    source: Pointer = ()
    value: Any = None


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """The operations of one patch, in their order."""

    steps: tuple[Step, ...]

    @classmethod
    def read(cls, document: Any) -> JsonPatch:
        """The patch that a decoded body says. Raises BadRequest with every finding, each naming its operation."""
        if not isinstance(document, list):
            raise BadRequest("A JSON Patch is an array of operations", rule="patch-malformed")
        if len(document) > MAX_OPERATIONS:
            text = f"The patch has more than {MAX_OPERATIONS} operations"
            raise BadRequest(text, code="too-costly", rule="patch-too-long")
        findings = [(index, _finding(item)) for index, item in enumerate(document)]
        issues = [
            Issue("structure", f"Operation {index}: {text}", None, "patch-malformed")
            for index, text in findings
            if text
        ]
        if issues:
            raise BadRequest(issues=issues)
        return cls(tuple(_step(item) for item in document))

    def apply(self, resource: dict[str, Any]) -> Any:
        """The patched document; `resource` is changed in place. Raises Unprocessable naming the operation."""
        holder: dict[str, Any] = {"": resource}
        copied = 0
        for index, step in enumerate(self.steps):
            try:
                copied += _apply(holder, step)
            except _Nowhere:
                failed = step.op == "test"
                text = f"Operation {index} ({step.op}): {'the test failed' if failed else 'the path leads nowhere'}"
                rule = "patch-test-failed" if failed else "patch-path-missing"
                raise Unprocessable(text, rule=rule) from None
            if copied > MAX_COPIED:
                text = f"Operation {index} (copy): the patch copies more than {MAX_COPIED} bytes"
                raise TooLarge(text, rule="patch-copies-too-much")
        return holder.get("")


def _finding(item: Any) -> str | None:
    if not isinstance(item, dict):
        return "an operation is an object"
    needs = _NEEDS.get(item["op"]) if isinstance(item.get("op"), str) else None
    if needs is None:
        return f"op is one of {', '.join(_NEEDS)}"
    for name in needs:
        if name not in item:
            return f"{item['op']} needs {name}"
        if name != "value" and not (isinstance(item[name], str) and _POINTER.match(item[name])):
            return f"{name} is not a JSON Pointer"
    if item["op"] == "move" and item["path"].startswith(item["from"] + "/"):
        return "nothing can be moved into itself"
    return None


def _step(item: dict[str, Any]) -> Step:
    return Step(item["op"], _pointer(item["path"]), _pointer(item.get("from", "")), item.get("value"))


def _pointer(text: Any) -> Pointer:
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in str(text).split("/"))


def _apply(holder: dict[str, Any], step: Step) -> int:
    """Applies one operation; returns how many bytes it has copied."""
    container, token = _container(holder, step.path) if step.op != "move" else (None, "")
    if step.op == "add":
        _add(container, token, duplicate(step.value))
    elif step.op == "remove":
        _remove(container, token)
    elif step.op == "replace":
        _child(container, token)
        container[_key(container, token)] = duplicate(step.value)
    elif step.op == "test":
        if not equal(_child(container, token), step.value):
            raise _Nowhere
    elif step.op == "move":
        value = _remove(*_container(holder, step.source))
        _add(*_container(holder, step.path), value)
    else:
        value = duplicate(_child(*_container(holder, step.source)))
        _add(container, token, value)
        return len(encode(value))
    return 0


def _container(holder: Any, pointer: Pointer) -> tuple[Any, str]:
    """What holds the place that `pointer` names, and the last token."""
    for token in pointer[:-1]:
        holder = _child(holder, token)
    return holder, pointer[-1]


def _child(container: Any, token: str) -> Any:
    return container[_key(container, token)]


def _key(container: Any, token: str) -> Any:
    """The key or index of an existing child. Raises _Nowhere."""
    if isinstance(container, dict) and token in container:
        return token
    if isinstance(container, list) and _INDEX.match(token) and int(token) < len(container):
        return int(token)
    raise _Nowhere


def _add(container: Any, token: str, value: Any) -> None:
    if isinstance(container, dict):
        container[token] = value
    elif isinstance(container, list) and token == "-":
        container.append(value)
    elif isinstance(container, list) and _INDEX.match(token) and int(token) <= len(container):
        container.insert(int(token), value)
    else:
        raise _Nowhere


def _remove(container: Any, token: str) -> Any:
    key = _key(container, token)
    return container.pop(key)


def duplicate(value: Any) -> Any:
    """A copy that shares nothing that can be changed; decimals keep their digits."""
    if isinstance(value, dict):
        return {key: duplicate(item) for key, item in value.items()}
    if isinstance(value, list):
        return [duplicate(item) for item in value]
    return value


def equal(one: Any, other: Any) -> bool:
    """Equal as RFC 6902, 4.6 says: numbers by value, and true is no number."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)
