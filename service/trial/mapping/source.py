"""YAML as the mapping language wants it: lines are kept, decimals keep their text, a key that stands twice is an error.

Scalars follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), so `no` and `2020-03-07`
are text; a plain number is a JSON number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from service.errors import Issue, Unprocessable
from service.fhir.json import decode
from service.trial.mapping.problems import problem, spec_problem

Path_ = tuple[str | int, ...]
Pair = tuple[yaml.Node, yaml.Node]
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


@dataclass(slots=True)
class Source:
    """A parsed file: `value`, the 1-based line of every path in it, and the findings so far."""

    file: str
    value: Any = None
    lines: dict[Path_, int] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    def line(self, path: Path_) -> int | None:
        """The line of `path`, or of the nearest element around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def wrong(self, path: Path_, text: str) -> None:
        """Notes a finding at `path`."""
        self.issues.append(spec_problem(self.file, self.line(path), ".".join(map(str, path)), text))


def read_yaml(path: Path, file: str) -> Source:
    """The file at `path`, named `file` in findings. Raises Unprocessable when it is not YAML."""
    source = Source(file)
    try:
        node = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except OSError as error:
        raise Unprocessable(issues=[problem("mapping-file", file, error.strerror or "not readable")]) from None
    except UnicodeDecodeError:
        raise Unprocessable(issues=[problem("mapping-file", file, "not UTF-8")]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise Unprocessable(issues=[spec_problem(file, line, "", f"not YAML: {error.problem}")]) from None
    source.value = _value(source, node, ()) if node is not None else None
    return source


def _value(source: Source, node: yaml.Node, path: Path_) -> Any:
    source.lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return _scalar(source, node, path)
    if isinstance(node, yaml.SequenceNode):
        return [_value(source, item, (*path, number)) for number, item in enumerate(node.value)]
    result: dict[str, Any] = {}
    for key, (key_node, value) in _pairs(source, node, path):
        result[key] = _value(source, value, (*path, key))
        source.lines[*path, key] = key_node.start_mark.line + 1
    return result


def _pairs(source: Source, node: yaml.MappingNode, path: Path_) -> Iterator[tuple[str, Pair]]:
    """The pairs of a mapping, those merged by `<<` first; a pair of its own wins over a merged one."""
    own: dict[str, Pair] = {}
    merged: dict[str, Pair] = {}
    for key_node, value in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if key is None:
            source.wrong(path, "a key must be text")
        elif key == "<<":
            for other in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if isinstance(other, yaml.MappingNode):
                    merged = {**dict(_pairs(source, other, path)), **merged}
                else:
                    source.wrong(path, "`<<` takes a mapping")
        elif key in own:
            source.wrong((*path, key), "the key stands twice")
        else:
            own[key] = (key_node, value)
    yield from {**merged, **own}.items()


def _scalar(source: Source, node: yaml.ScalarNode, path: Path_) -> Any:
    if node.tag not in ("tag:yaml.org,2002:str", "!"):
        source.wrong(path, "tags (`!…`) are not part of the language")
    if node.style is not None:
        return node.value
    if node.value in WORDS:
        return WORDS[node.value]
    return decode(node.value.encode()) if NUMBER.fullmatch(node.value) else node.value
