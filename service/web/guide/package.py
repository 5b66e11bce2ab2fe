"""The profiles as a FHIR package: what validators and SUSHI load as a dependency.

The same files give the same bytes. Source: https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from service.fhir.json import encode
from service.web.guide.content import Document, Guide, guide

# npm gives every file of a package this time (1985-10-26T08:15:00Z): no clock enters the bytes.
TIME = 499162500
INDEXED = ("id", "url", "version", "kind", "type", "supplements", "content")


@dataclass(frozen=True, slots=True)
class Archive:
    """The bytes of the .tgz and their strong ETag."""

    content: bytes
    etag: str


def manifest() -> dict[str, Any]:
    """`package/package.json`, from the ImplementationGuide."""
    named = guide().implementation_guide().resource
    (fhir_version,) = named["fhirVersion"]
    canonical = named["url"].removesuffix(f"/ImplementationGuide/{named['id']}")
    return {
        "name": named["packageId"],
        "version": named["version"],
        "type": "IG",
        "canonical": canonical,
        "url": canonical,
        "title": named["title"],
        "description": named["description"],
        "author": "cart-fhir",
        "license": named["license"],
        "fhirVersions": [fhir_version],
        "dependencies": {"hl7.fhir.r4.core": fhir_version},
    }


@cache
def archive() -> Archive:
    """The package of the committed resources, packed at the first call."""
    content = packed(_files(guide()))
    return Archive(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def packed(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A .tgz of (path, content) that depends on nothing else."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, content in files:
            entry = tarfile.TarInfo(path)
            entry.size, entry.mtime, entry.mode = len(content), TIME, 0o644
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


def _files(content: Guide) -> Iterator[tuple[str, bytes]]:
    yield "package/package.json", _json(manifest())
    examples = content.examples()
    definitions = [one for one in content.documents.values() if "url" in one.resource]
    for folder, documents in (("package", definitions), ("package/example", examples)):
        listed = sorted(documents, key=lambda one: (one.kind, one.id))
        yield f"{folder}/.index.json", _json({"index-version": 2, "files": [_entry(one) for one in listed]})
        for one in listed:
            yield f"{folder}/{_file(one)}", one.text.encode()


def _file(document: Document) -> str:
    return f"{document.kind}-{document.id}.json"


def _entry(document: Document) -> dict[str, str]:
    found = {"filename": _file(document), "resourceType": document.kind}
    # `type` and `kind` of an example may be anything: the index wants those of definitions.
    return found | {name: value for name in INDEXED if isinstance(value := document.resource.get(name), str)}


def _json(value: Any) -> bytes:
    return encode(value)
