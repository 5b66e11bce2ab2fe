"""Where a pulled resource came from: tag, source and Provenance.

One Provenance speaks of a whole page: it has the search that was answered, and every resource that was written of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

from service.fhir.operations import Resource
from service.sync.connections import Connection, endpoint_id
from service.trial.mapping.identity import BASE, NAMESPACE
from service.trial.quality import RESTRICTED

TAG = f"{BASE}/CodeSystem/sync-origin"
_ACTIVITY = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_SOFTWARE = f"{BASE}/identifier/software"
_SERVER_KEPT = ("versionId", "lastUpdated", "source", "tag", "security")


def tag(connection: str) -> dict[str, str]:
    """The tag of what came by a connection."""
    return {"system": TAG, "code": connection}


def origin_of(resource: Resource) -> str | None:
    """The connection by which a resource came, or the word for another service like this; None: made where it is."""
    meta = resource.get("meta")
    tags = _listed(meta.get("tag")) if isinstance(meta, dict) else []
    return next((str(one.get("code")) for one in tags if one.get("system") == TAG), None)


def stamped(connection: Connection, remote: str, meta: Any) -> dict[str, Any]:
    """`meta` of our copy of `remote` (`Type/id` of theirs): its own profiles and labels, tag, source, `restricted`."""
    theirs = meta if isinstance(meta, dict) else {}
    tags = [one for one in _listed(theirs.get("tag")) if one.get("system") != TAG]
    security = [one for one in _listed(theirs.get("security")) if one != RESTRICTED]
    return {
        "source": f"{connection.base.rstrip('/')}/{remote}",
        **{name: value for name, value in theirs.items() if name not in _SERVER_KEPT},
        "security": [*security, RESTRICTED],
        "tag": [*tags, tag(connection.name)],
    }


def _listed(value: Any) -> list[Any]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def provenance(connection: Connection, url: str, request_id: str, written: Sequence[str], run: str) -> Resource:
    """The Provenance of a page: `written` are the `Type/id` of ours, `url` the search that brought them.

    Its id follows from the run and the page, so that a page that is read again says the same.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "resourceType": "Provenance",
        "id": str(uuid5(NAMESPACE, f"sync/{connection.name}/{run}/{url}")),
        "meta": {"security": [RESTRICTED], "tag": [tag(connection.name)]},
        "target": [{"reference": reference} for reference in written],
        "recorded": now,
        "activity": {"coding": [{"system": _ACTIVITY, "code": "UPDATE"}], "text": "synchronisation: pull"},
        "agent": [
            {
                "type": {"coding": [{"system": _PARTICIPANT, "code": "assembler"}]},
                "who": {"identifier": {"system": _SOFTWARE, "value": "cart-fhir"}, "display": "cart-fhir pull"},
            }
        ],
        "entity": [
            {
                "role": "source",
                "what": {
                    "reference": f"Endpoint/{endpoint_id(connection.name)}",
                    "identifier": {"system": "urn:ietf:rfc:3986", "value": url},
                    "display": connection.label or connection.name,
                },
            },
            {"role": "source", "what": {"identifier": {"system": f"{BASE}/identifier/request", "value": request_id}}},
        ],
    }
