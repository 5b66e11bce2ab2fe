"""Names and ids of mapped resources: `template.rule/key` (`#n` for the n-th item) → UUIDv5.

The same record is the same resource each time that it is imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from service.fhir.json import encode

BASE = "https://cart-fhir.example/fhir"
NAMESPACE = uuid5(NAMESPACE_URL, BASE)


def name_of(template: str, rule: str, key: Iterable[str], item: int | None = None) -> str:
    """The name of the resource of a rule for the row with `key`; `item` counts from 1."""
    parts = "/".join(part.replace("%", "%25").replace("/", "%2F").replace("#", "%23") for part in key)
    return f"{template}.{rule}/{parts}" + (f"#{item}" if item is not None else "")


def id_of(study: str, name: str) -> str:
    """The id of the resource with this name: UUIDv5 of `study/template/rule/key`."""
    template, _, rest = name.partition(".")
    return str(uuid5(NAMESPACE, f"{study}/{template}/{rest}"))


def content_hash(resource: dict[str, Any]) -> str:
    """`sha256:` and the hex digest of a resource, whatever the order of its keys; decimals count as they are written.

    `meta.versionId` and `meta.lastUpdated`, which the server assigns, do not count.
    """
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    content = {key: value for key, value in resource.items() if key != "meta"} | ({"meta": meta} if meta else {})
    return f"sha256:{sha256(_canonical(content).encode()).hexdigest()}"


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_canonical(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return encode(value).decode()
