"""From XML text to JSON, element by element, with the place of everything that is wrong.

Expat reads: it tells line, column and byte of each element (needed for the places, and to keep the narrative as it was
written), and it fetches nothing. Without document types there are no entities but the five of XML.
"""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

from service.conformance.validator.findings import nearest, place
from service.conformance.xml.grammar import FHIR, XHTML, Grammar, Kind, Member, Node
from service.conformance.xml.narrative import standalone
from service.conformance.xml.values import expected, value_of
from service.errors import BadRequest, Issue

_BOM = b"\xef\xbb\xbf"
_MAX_ISSUES = 50
_XML_SPACE = " \t\r\n"
_NAME = re.compile(rb"<([^\s/>]+)")
_NONE = Member("", Kind.VALUE, -1, False, "", lambda: Node([]))


class _Refused(Exception):
    """Nothing more is read: the issues are in the reader."""


class _Frame:
    """An element that is open.

    `data` are its attributes and children, `value` a primitive's value or a holder's resource, `latest` its last child
    so far, `level` its nesting in JSON (0 for the root), `sparse` the arrays of primitives that hold null, `issues` how
    many there were before it.
    """

    __slots__ = ("column", "data", "issues", "latest", "level", "line", "member", "node", "sparse", "value")

    def __init__(self, member: Member, level: int, line: int, column: int, issues: int) -> None:
        self.member = member
        self.node = member.node
        self.data: dict[str, Any] = {"resourceType": member.name} if member.kind is Kind.RESOURCE else {}
        self.value: Any = None
        self.latest = _NONE
        self.level = level
        self.sparse: set[str] | None = None
        self.line = line
        self.column = column
        self.issues = issues


def read(body: bytes, grammar: Grammar, max_depth: int) -> dict[str, Any]:
    """The resource in `body`. Raises BadRequest."""
    return _Reader(grammar, body.removeprefix(_BOM), max_depth).resource()


class _Reader:
    def __init__(self, grammar: Grammar, body: bytes, max_depth: int) -> None:
        self._body = body
        self._max_depth = max_depth
        document = Member("", Kind.HOLDER, 0, False, "", lambda: grammar.document)
        self._stack = [_Frame(document, -1, 1, 1, 0)]
        self._issues: list[Issue] = []
        self._inside = 0  # Open elements of a narrative, or of what is skipped.
        self._div: int | None = None  # The byte where the narrative begins.
        self._scope: dict[str, list[str]] = {}
        self._suggested: dict[str, str] = {}
        self._parser = parser = expat.ParserCreate("utf-8", " ")
        parser.XmlDeclHandler = self._declaration
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartNamespaceDeclHandler = self._declare
        parser.EndNamespaceDeclHandler = self._undeclare

    def resource(self) -> dict[str, Any]:
        try:
            self._refuse_document_type()
            self._parser.Parse(self._body, True)
        except _Refused:
            pass
        except expat.ExpatError as error:
            text = f"The body is not XML: {expat.ErrorString(error.code)}"
            self._issues.append(Issue("structure", text, None, "not-xml", line=error.lineno, column=error.offset + 1))
        if self._issues:
            raise BadRequest(issues=self._issues)
        found: dict[str, Any] = self._stack[0].value
        return found

    def _refuse_document_type(self) -> None:
        """Before anything is read: entities stand in document types, and there alone."""
        before, found, _ = self._body.partition(b"<!DOCTYPE")
        if found:
            line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
            self._report("xml-doctype", "Document types are not allowed", None, (line, column))
            raise _Refused

    def _declaration(self, version: str, encoding: str | None, alone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            self._report("xml-encoding", "FHIR XML is in UTF-8", None)
            raise _Refused

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._scope.setdefault(prefix or "", []).append(uri or "")

    def _undeclare(self, prefix: str | None) -> None:
        self._scope[prefix or ""].pop()

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._inside:
            self._inside += 1
            if self._inside > self._max_depth:
                self._refuse_depth()
            return
        around = self._stack[-1]
        member = around.node.tags.get(tag)
        if member is None:
            self._unknown(around, tag)
            self._inside = 1
            return
        if member.rank < around.latest.rank:
            text = f"Elements stand in the order of R4: this one before '{around.latest.name}'"
            self._report("xml-order", text, self._path(member))
        around.latest = member
        if member.kind is Kind.DIV:
            self._inside = 1
            self._div = self._parser.CurrentByteIndex
            return
        level = around.level + member.levels
        if level > self._max_depth and member.kind is not Kind.VALUE:
            self._refuse_depth()
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        frame = _Frame(member, level, line, column, len(self._issues))
        self._stack.append(frame)
        if attributes:
            self._attributes(frame, attributes)

    def _attributes(self, frame: _Frame, attributes: dict[str, str]) -> None:
        allowed = frame.node.attributes
        for name, text in attributes.items():
            if name not in allowed:
                known = f"no attributes but {' and '.join(sorted(allowed))}" if allowed else "no attributes"
                self._report("xml-attribute", f"This element has {known}", self._path())
            elif not text.strip(_XML_SPACE):
                self._report("xml-attribute-empty", f"The attribute {name} is empty: leave it out", self._path())
            elif name == "value":
                frame.value = value_of(frame.member.code, text)
                if frame.value is None:
                    says = f"{expected(frame.member.code).capitalize()} is needed here"
                    self._report("primitive-type", says, self._path())
            else:
                frame.data[name] = text

    def _text(self, text: str) -> None:
        # A text comes in pieces: only what is the first issue since the element began is reported.
        if not self._inside and text.strip(_XML_SPACE) and len(self._issues) == self._stack[-1].issues:
            self._report("xml-text", "Text stands only in the narrative: values are attributes", self._path())

    def _end(self, tag: str) -> None:
        if self._inside:
            self._inside -= 1
            if self._div is not None and not self._inside:
                self._narrative(self._div)
                self._div = None
            return
        frame, around = self._stack[-1], self._stack[-2]
        if frame.sparse:
            _drop_nulls(frame.data, frame.sparse)
        kind = frame.member.kind
        if kind is Kind.RESOURCE:
            if around.value is not None:
                self._report_start("xml-resources", "One resource only may stand here", frame)
            around.value = frame.data
        elif kind is Kind.VALUE:
            self._add_value(around, frame)
        else:
            self._add(around, frame, frame.value if kind is Kind.HOLDER else frame.data)
        self._stack.pop()

    def _add_value(self, around: _Frame, frame: _Frame) -> None:
        name, value, extra = frame.member.name, frame.value, frame.data
        if value is None and not extra and len(self._issues) == frame.issues:
            self._report_start("object-empty", "An element has a value, or an extension in its place", frame)
        if not frame.member.repeats:
            if name in around.data or f"_{name}" in around.data:
                self._report_start("array-unexpected", "This element does not repeat", frame)
            if value is not None:
                around.data[name] = value
            if extra:
                around.data[f"_{name}"] = extra
        else:
            values = around.data.setdefault(name, [])
            values.append(value)
            extras = around.data.get(f"_{name}")
            if extras is not None:
                extras.append(extra or None)
            elif extra:
                around.data[f"_{name}"] = [None] * (len(values) - 1) + [extra]
            if value is None:
                around.sparse = (around.sparse or set()) | {name}

    def _add(self, around: _Frame, frame: _Frame, content: Any) -> None:
        name = frame.member.name
        if not content and len(self._issues) == frame.issues:
            self._report_start("object-empty", "An element is never empty: leave it out", frame)
        if frame.member.repeats:
            around.data.setdefault(name, []).append(content)
            return
        if name in around.data:
            self._report_start("array-unexpected", "This element does not repeat", frame)
        around.data[name] = content

    def _narrative(self, start: int) -> None:
        around = self._stack[-1]
        member = around.node.members["div"]
        # Of `<div/>`, expat has the end already; else the place where `</div>` begins.
        name = _NAME.match(self._body, start)[1]
        closing = re.compile(rb"</%s\s*>" % re.escape(name)).match(self._body, self._parser.CurrentByteIndex)
        end = closing.end() if closing else self._parser.CurrentByteIndex
        scope = {prefix: uris[-1] for prefix, uris in self._scope.items() if uris}
        text = standalone(self._body[start:end].decode(), scope)
        if text is None:
            self._report("txt-1", "The narrative holds only XHTML", self._path(member))
        if member.name in around.data:
            self._report("array-unexpected", "This element does not repeat", self._path(member))
        around.data[member.name] = text

    def _unknown(self, around: _Frame, tag: str) -> None:
        namespace, _, name = tag.rpartition(" ")
        path = self._path() + place(name) if len(self._stack) > 1 else None
        due = XHTML if name == "div" and "div" in around.node.members else FHIR
        if namespace != due:
            self._report("xml-namespace", f"This element is not in the namespace {due}", path)
        elif around.member.kind is Kind.HOLDER:
            self._report("resource-type-unknown", "R4 has no resource type of this name", path)
        else:
            hint = nearest(name, around.node.members, self._suggested)
            self._report("element-unknown", f"This element does not exist here in R4{hint}", path)

    def _refuse_depth(self) -> None:
        self._report("xml-too-deep", f"The body nests deeper than {self._max_depth} levels", None)
        raise _Refused

    def _path(self, last: Member | None = None) -> str:
        """The FHIRPath of the innermost frame, or of its child `last` that is about to be added."""
        members = [frame.member for frame in self._stack[1:]] + ([last] if last else [])
        parts = [members[0].name] if members else []
        for around, member in zip(self._stack[1:], members[1:], strict=False):
            if member.kind is not Kind.RESOURCE:
                index = f"[{len(around.data.get(member.name, ()))}]" if member.repeats else ""
                parts.append(f".{member.name}{index}")
        return "".join(parts)

    def _report_start(self, rule: str, text: str, frame: _Frame) -> None:
        """An issue of the innermost frame, at its start tag."""
        self._report(rule, text, self._path(), (frame.line, frame.column))

    def _report(self, rule: str, text: str, path: str | None, at: tuple[int, int] | None = None) -> None:
        line, column = at or (self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1)
        self._issues.append(Issue("structure", text, path or None, rule, line=line, column=column))
        if len(self._issues) >= _MAX_ISSUES:
            raise _Refused


def _drop_nulls(data: dict[str, Any], names: set[str]) -> None:
    """An array of nulls only is left out: its extensions stand in `_name` alone."""
    for name in names:
        if all(value is None for value in data[name]):
            del data[name]
