"""The answer in the words that the client asked for: FHIR JSON as it is stored, indented, or as FHIR XML.

Handlers speak JSON; this is the last step before an answer leaves, and it also takes errors.
Source: https://hl7.org/fhir/R4/http.html#mime-type
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from service.api import body, formats, places, replies
from service.api.server import server_of
from service.conformance.xml import to_xml
from service.errors import CartFhirError, NotAcceptable
from service.fhir.json import decode

XML: replies.Header = (b"content-type", b"application/fhir+xml; charset=utf-8")


async def represented(request: Request, response: Response) -> Response:
    """The answer, its FHIR JSON turned into what was asked for. Raises NotAcceptable where XML cannot say it.

    What was written is written: its answer is JSON then.
    """
    if replies.FHIR not in response.raw_headers or not response.body:  # a file has no body here
        return response
    content = bytes(response.body)
    if formats.wants_xml(request):
        definitions = server_of(request).definitions
        try:
            made = await body.compute(lambda: to_xml(decode(content, max_depth=10_000), definitions), len(content))
        except NotAcceptable:
            if request.method in ("GET", "HEAD"):
                raise
            return response
        return _replaced(response, made, XML)
    if b"_pretty=true" in request.scope["query_string"]:
        made = await body.compute(lambda: msgspec.json.format(content, indent=2), len(content))
        return _replaced(response, made, replies.FHIR)
    return response


async def failed(request: Request, error: CartFhirError) -> Response:
    """The outcome of an error; in JSON where the client asks for what nobody speaks."""
    response = replies.failure(await places.in_error(request, error))
    try:
        return await represented(request, response)
    except NotAcceptable:
        return response


def _replaced(response: Response, content: bytes, media: replies.Header) -> Response:
    response.body = content
    kept = [pair for pair in response.raw_headers if pair[0] not in (b"content-type", b"content-length")]
    response.raw_headers = [*kept, media, (b"content-length", b"%d" % len(content))]
    return response
