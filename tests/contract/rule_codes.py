"""The machine codes that the source puts into issues, read from its syntax trees.

A code comes to an Issue, a Finding of the validator or an error of the tree as a string, or through a parameter: then
the callers of that function are asked, and so on until every code is a string. An expression that cannot be followed
is reported, so that no code stays unseen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import service

ROOT = Path(service.__file__).parent
# (module, function) → (position, keyword) of the code; further ones are found on the way.
SEEDS = {
    ("service.errors", "Issue"): (3, "rule"),
    ("service.errors", "CartFhirError"): (None, "rule"),
    ("service.conformance.validator.findings", "Finding"): (1, "rule"),
    ("service.trial.mapping.transforms", "BadCell"): (0, "rule"),
}
# An Issue made from another one, from an invariant or from the outcome of a write: their codes are known already.
PASSED_ON = {"rule", "key", "outcome"}
Sink = tuple[str, str]


@dataclass
class Module:
    """One file: its tree, its functions and classes by name, where its names come from, its constants."""

    name: str
    tree: ast.Module
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    imports: dict[str, Sink] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)


def module(name: str, source: str) -> Module:
    """The facts of one file that the search needs."""
    found = Module(name, ast.parse(source))
    for node in ast.walk(found.tree):
        for child in ast.iter_child_nodes(node):
            found.parents[child] = node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.functions[node.name] = node
        elif isinstance(node, ast.ClassDef):
            found.classes[node.name] = node
        elif isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                found.imports[one.asname or one.name] = (node.module, one.name)
    for statement in found.tree.body:
        for name_, value in assigned(statement):
            found.constants[name_] = value
    return found


def assigned(statement: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) of an assignment, of each part of `a, b = 1, 2` too."""
    if isinstance(statement, ast.AnnAssign) and statement.value and isinstance(statement.target, ast.Name):
        yield statement.target.id, statement.value
    for target in statement.targets if isinstance(statement, ast.Assign) else ():
        if isinstance(target, ast.Name):
            yield target.id, statement.value
        elif isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
            pairs = zip(target.elts, statement.value.elts, strict=False)  # `a, b, c = *pair, 1` cannot be followed
            yield from ((name.id, value) for name, value in pairs if isinstance(name, ast.Name))


@cache
def modules() -> list[Module]:
    """Every module of the service."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(["service", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
        found.append(module(name, path.read_text(encoding="utf-8")))
    return found


class Search:
    """`codes` are all codes, `unclear` the places (module:line) where one could not be followed."""

    def __init__(self, among: list[Module]) -> None:
        self.codes: set[str] = set()
        self.unclear: set[str] = set()
        self._modules = {one.name: one for one in among}
        self._sinks = dict(SEEDS)
        self._errors = self._error_classes()
        self._class_attributes()
        known = 0
        while known != len(self._sinks):  # until no further function takes a code
            known = len(self._sinks)
            self.unclear.clear()
            for one in among:
                self._calls(one)

    def _error_classes(self) -> set[Sink]:
        found = {("service.errors", "CartFhirError")}
        size = 0
        while size != len(found):
            size = len(found)
            for one in self._modules.values():
                for name, node in one.classes.items():
                    bases = {self._origin(one, base.id) for base in node.bases if isinstance(base, ast.Name)}
                    if bases & found:
                        found.add((one.name, name))
        return found

    def _class_attributes(self) -> None:
        for module_name, name in self._errors:
            one = self._modules[module_name]
            for statement in one.classes[name].body:
                for attribute, value in assigned(statement):
                    if attribute == "rule":
                        self._follow(one, value, statement)

    def _origin(self, one: Module, name: str) -> Sink:
        return one.imports.get(name, (one.name, name))

    def _callee(self, one: Module, call: ast.Call) -> Sink | None:
        """The function that is called: by name, as a method (`self.report`), or of a module (`problems.problem`)."""
        if isinstance(call.func, ast.Name):
            return self._origin(one, call.func.id)
        if isinstance(call.func, ast.IfExp | ast.BoolOp):  # (BadRequest if base else Unprocessable)(…)
            return ("service.errors", "CartFhirError")
        if not isinstance(call.func, ast.Attribute):
            return None
        owner, name = call.func.value, call.func.attr
        if isinstance(owner, ast.Name) and owner.id in one.imports:
            package, imported = one.imports[owner.id]
            return (f"{package}.{imported}", name)
        if name in one.functions:
            return (one.name, name)
        defining = [other.name for other in self._modules.values() if name in other.functions]
        return (defining[0], name) if len(defining) == 1 else None

    def _calls(self, one: Module) -> None:
        for node in ast.walk(one.tree):
            if not isinstance(node, ast.Call):
                continue
            callee = self._callee(one, node)
            if callee in self._errors:
                callee = ("service.errors", "CartFhirError")
            if callee not in self._sinks:
                continue
            position, keyword = self._sinks[callee]
            for value in argument(node, position, keyword):
                self._follow(one, value, node)

    def _follow(self, one: Module, value: ast.expr, place: ast.AST) -> None:
        if isinstance(value, ast.Constant):
            if isinstance(value.value, str):
                self.codes.add(value.value)
        elif isinstance(value, ast.IfExp):
            self._follow(one, value.body, place)
            self._follow(one, value.orelse, place)
        elif isinstance(value, ast.BoolOp):
            for part in value.values:
                self._follow(one, part, place)
        elif isinstance(value, ast.Name):
            self._named(one, value.id, place)
        elif not (isinstance(value, ast.Attribute) and value.attr in PASSED_ON):
            self.unclear.add(f"{one.name}:{ast.unparse(value)}")

    def _named(self, one: Module, name: str, place: ast.AST) -> None:
        """A local variable, a parameter of a function around, or a constant of a module."""
        around: ast.AST | None = place
        while around is not None:
            around = one.parents.get(around)
            if not isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            local = [value for node in ast.walk(around) for found, value in assigned(node) if found == name]
            for value in local:
                self._follow(one, value, around)
            if local:
                return
            if name in parameters(around):
                self._asked(one, around, name)
                return
        module_name, constant = self._origin(one, name)
        value = self._modules[module_name].constants.get(constant) if module_name in self._modules else None
        if value is None:
            self.unclear.add(f"{one.name}:{name}")
        else:
            self._follow(self._modules[module_name], value, value)

    def _asked(self, one: Module, function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> None:
        """The function takes a code: its callers say which; its default is one, too."""
        names = parameters(function)
        owner = one.parents.get(function)
        method = isinstance(owner, ast.ClassDef)
        constructor = method and function.name == "__init__"
        sink = (one.name, owner.name if constructor and isinstance(owner, ast.ClassDef) else function.name)
        self._sinks.setdefault(sink, (names.index(name) - method, name))
        defaults = dict(zip(reversed(names), reversed(function.args.defaults), strict=False))
        for argument_, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
            if default is not None:
                defaults[argument_.arg] = default
        if name in defaults:
            self._follow(one, defaults[name], function)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The names of the parameters, those by position first."""
    return [one.arg for one in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def argument(call: ast.Call, position: int | None, keyword: str) -> Iterator[ast.expr]:
    """What a call gives for the parameter."""
    if position is not None and len(call.args) > position:
        yield call.args[position]
    yield from (one.value for one in call.keywords if one.arg == keyword)
