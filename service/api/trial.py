"""The trial's tables and rates, computed from what is stored now."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service.api import formats
from service.api.replies import Header, Reply, json
from service.api.server import server_of
from service.conformance.capability import Interaction
from service.errors import NotFound
from service.fhir.json import encode
from service.settings import shipped
from service.trial.reports.measures import measure_report
from service.trial.reports.tables import table1, table2

STUDY = "isikok-19"
TABLES = {"1": table1, "2": table2}
OFFERS = {"text/html": "html", "application/json": "json", "text/csv": "csv"}
JSON: Header = (b"content-type", b"application/json")
CSV: Header = (b"content-type", b"text/csv; charset=utf-8; header=present")


async def table(request: Request) -> Response:
    """GET /trial/isikok-19/tables/1 or 2: as a page, JSON or CSV, by `?format=` or Accept."""
    number = request.path_params["number"]
    wanted = formats.wanted(request, OFFERS, "json")
    if number not in TABLES:
        raise NotFound("The paper has the tables 1 and 2")
    made = await TABLES[number](server_of(request).database, shipped("mappings", STUDY))
    if wanted == "html":
        return server_of(request).page(f"table{number}.html", table=made)
    if wanted == "csv":
        name = f'attachment; filename="{STUDY}-table-{number}.csv"'.encode()
        return Reply(200, made.as_csv().encode(), [(b"content-disposition", name)], CSV)
    return Reply(200, encode(made.as_json()), media=JSON)


async def measure(request: Request) -> Response:
    """GET /trial/isikok-19/measures/[id]: a MeasureReport."""
    formats.check_accept(request)
    database, folder = server_of(request).database, shipped("mappings", STUDY)
    return json(await measure_report(database, folder, request.path_params["id"]))


TABLE = (
    (Interaction("table", "GET", "/trial/isikok-19/tables/{number:fhir_id}"), table),
    (Interaction("measure", "GET", "/trial/isikok-19/measures/{id:fhir_id}"), measure),
)
