"""Questionnaire/$populate: a registry's form filled from the record. https://hl7.org/fhir/uv/sdc"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, conditions, formats, replies
from service.api.operations.inputs import posted
from service.api.server import Server, server_of
from service.errors import BadRequest, NotFound, Unprocessable, operation_outcome
from service.fhir.json import decode
from service.submissions.forms import Form, form_of, known
from service.submissions.gathering import Asked, fill
from service.trial.mapping.identity import content_hash

WHERE = ("subject", "infusion", "obligation", "start", "end")
FORM = ("canonical", "questionnaire", "questionnaireRef")
CONTEXT = ("context", "launchContext")
LAUNCHED = frozenset({"patient", "infusion", "obligation"})
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_REFERENCE = re.compile(r"(?:(?P<type>[A-Z][A-Za-z]+)/)?(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?")


async def populate_stored(request: Request) -> Response:
    """GET or POST Questionnaire/[id]/$populate: a form that the service ships with, stored or not."""
    return await _answer(request, request.path_params["id"])


async def populate_named(request: Request) -> Response:
    """GET or POST Questionnaire/$populate: the form by its canonical, as `canonical` or `questionnaire`."""
    return await _answer(request, None)


async def _answer(request: Request, id_: str | None) -> Response:
    formats.check_accept(request)
    server = server_of(request)
    asked = dict(await _given(request))
    form = await _form(server, asked, id_)
    wanted = Asked(
        patient=_reference(asked, "subject", "Patient") or _missing(),
        infusion=_reference(asked, "infusion", "Procedure"),
        obligation=_reference(asked, "obligation", "Task"),
        start=_day(asked, "start"),
        end=_day(asked, "end"),
    )
    filled = await fill(server.database, form, wanted, datetime.now(UTC).replace(microsecond=0))
    parts = [{"name": "response", "resource": filled.response}]
    if filled.issues:
        parts.append({"name": "issues", "resource": operation_outcome(filled.issues)})
    return replies.json({"resourceType": "Parameters", "parameter": parts})


async def _given(request: Request) -> Iterator[tuple[str, Any]]:
    """Each parameter of URL and body with its value; those of a context by its name. Raises BadRequest."""
    pairs: list[tuple[str, Any]] = list(conditions.criteria(request))
    sent = await posted(request) if request.method == "POST" else None
    if sent is not None:
        body.speaks_of(request)
        body.check_type(sent, "Parameters")
        server_of(request).validator.require(sent)
        pairs += [_pair(number, part) for number, part in enumerate(sent.get("parameter", []))]
        body.speaks_of(request, None)
    seen: set[str] = set()
    for name, _ in pairs:
        if name not in (*WHERE, *FORM, "patient", "local"):
            known_ = ", ".join((*WHERE, *FORM, *CONTEXT))
            text = f"The operation has no parameter {name[:64]!r}; it has {known_}"
            raise BadRequest(text, code="not-supported", rule="unknown-parameter")
        if name in seen:
            raise BadRequest(f"{name} may stand once", code="invalid", rule="parameter-repeated")
        seen.add(name)
    return iter(pairs)


def _pair(number: int, part: dict[str, Any]) -> tuple[str, Any]:
    place = f"Parameters.parameter[{number}]"
    if part["name"] in CONTEXT:
        parts = {one["name"]: one for one in part.get("part", ())}
        if parts.keys() != {"name", "content"}:
            text = "A context has a name and one content"
            raise BadRequest(text, expression=f"{place}.part", code="invalid", rule="parameter-value")
        name = _value(parts["name"], place)
        name = name.get("code") if isinstance(name, dict) else name
        if name not in LAUNCHED:
            text = f"The forms here know the contexts {', '.join(sorted(LAUNCHED))}"
            raise BadRequest(text, expression=f"{place}.part", code="not-supported", rule="unknown-parameter")
        return name, _value(parts["content"], place)
    return part["name"], _value(part, place)


def _value(part: dict[str, Any], place: str) -> Any:
    values = [value for key, value in part.items() if key == "resource" or key.startswith("value")]
    if len(values) != 1 or "part" in part:
        raise BadRequest("A parameter here has one value", expression=place, rule="parameter-value")
    return values[0]


async def _form(server: Server, asked: dict[str, Any], id_: str | None) -> Form:
    """The shipped form. Raises BadRequest, NotFound, Gone, and Unprocessable for a form that is not one of them."""
    named = [(name, asked[name]) for name in FORM if name in asked]
    if len(named) + (id_ is not None) != 1:
        text = "One form is populated: Questionnaire/[id]/$populate, or Questionnaire/$populate with its canonical"
        raise BadRequest(text, code="required", rule="required-parameter")
    if id_ is None:
        name, value = named[0]
        if name == "questionnaireRef":
            reference = _reference(asked, name, "Questionnaire")
            return await _form(server, {}, reference.rpartition("/")[2] if reference else "")
        url = value.get("url") if isinstance(value, dict) and name == "questionnaire" else value
        if not isinstance(url, str):
            raise BadRequest(f"{name} needs the canonical of a form", code="invalid", rule="invalid-parameter")
        form = form_of(url)
        return form if isinstance(value, str) else _same(form, value)
    try:
        stored = decode((await server.database.read("Questionnaire", id_)).content or b"{}", 10_000)
    except NotFound:
        shipped = next((one for one in known().values() if one.questionnaire["id"] == id_), None)
        if shipped is None:
            raise
        return shipped
    url, version = stored.get("url", ""), stored.get("version")
    return _same(form_of(f"{url}|{version}" if version else url), stored)


def _same(form: Form, questionnaire: dict[str, Any]) -> Form:
    sent = {name: value for name, value in questionnaire.items() if name != "id"}
    shipped = {name: value for name, value in form.questionnaire.items() if name != "id"}
    if content_hash(sent) != content_hash(shipped):
        names = ", ".join(one.canonical for one in known().values())
        text = f"The form differs from the one that this server ships with: {names}"
        raise Unprocessable(text, expression="Questionnaire", code="not-supported", rule="form-unknown")
    return form


def _missing() -> str:
    raise BadRequest("$populate needs a subject: Patient/[id]", code="required", rule="required-parameter")


def _reference(asked: dict[str, Any], name: str, type_: str) -> str | None:
    """`Type/id` of a parameter: a text, a Reference, or a resource, of which the id is taken. Raises BadRequest."""
    value = asked.get(name)
    if name == "subject" and value is None:
        value = asked.get("patient")
    if value is None:
        return None
    if isinstance(value, dict):
        value = value.get("reference") or f"{value.get('resourceType')}/{value.get('id')}"
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if found is None or (found["type"] or type_) != type_:
        raise BadRequest(f"{name} needs a reference: {type_}/[id]", code="invalid", rule="invalid-parameter")
    return f"{type_}/{found['id']}"


def _day(asked: dict[str, Any], name: str) -> date | None:
    value = asked.get(name)
    if value is None:
        return None
    try:
        return date.fromisoformat(value if _DAY.fullmatch(value) else "")
    except (ValueError, TypeError):
        raise BadRequest(f"{name} needs a day: YYYY-MM-DD", code="invalid", rule="invalid-parameter") from None
