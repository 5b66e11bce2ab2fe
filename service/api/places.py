"""Line and column of what is wrong in the body that was sent: worked out once something is wrong, never before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from starlette.requests import Request

from service.api import body, formats
from service.conformance.xml import positions as xml
from service.errors import CartFhirError, Issue
from service.fhir import positions as json
from service.fhir.positions import steps


async def in_error(request: Request, error: CartFhirError) -> CartFhirError:
    """The error with the places of its issues."""
    (placed,) = await in_errors(request, [error])
    return placed


async def in_errors(request: Request, errors: Sequence[CartFhirError]) -> list[CartFhirError]:
    """The errors with the places of their issues, all looked for at once."""
    found = iter(await in_issues(request, [issue for error in errors for issue in error.issues]))
    return [type(e)(issues=[next(found) for _ in e.issues], headers=e.headers) for e in errors]


async def in_issues(request: Request, issues: Iterable[Issue]) -> list[Issue]:
    """The issues with line and column in the body, where it is known what they speak of."""
    given, root = list(issues), request.scope.get(body.ROOT)
    content = request.scope.get(body.CONTENT)
    if root is None or not content:
        return given
    paths = [None if one.expression is None or one.line else (*root, *steps(one.expression)) for one in given]
    wanted = {path for path in paths if path is not None}
    if not wanted:
        return given
    look = xml.positions if formats.sends_xml(request) else json.positions
    found = await body.compute(lambda: look(content, wanted), len(content))
    return [_placed(issue, path and found.get(path)) for issue, path in zip(given, paths, strict=True)]


def _placed(issue: Issue, position: tuple[int, int] | tuple[()] | None) -> Issue:
    return replace(issue, line=position[0], column=position[1]) if position else issue
