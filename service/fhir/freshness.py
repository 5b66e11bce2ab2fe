"""What a client says that it has already: a read of it answers 304 and sends nothing.

Source: https://hl7.org/fhir/R4/http.html#cread and RFC 9110 13.1
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from service.fhir.operations import Stored

ETAG = re.compile(r'\s*(?:W/)?"([^"]{1,64})"\s*\Z')


@dataclass(frozen=True, slots=True)
class Known:
    """`tags`: ETags with commas between them, or `*`; `since`: the time of the last read, used without tags alone."""

    tags: str | None = None
    since: datetime | None = None

    def covers(self, stored: Stored) -> bool:
        """Whether the client has this version."""
        if self.tags is not None:
            version = str(stored.version)
            found = (ETAG.match(tag) for tag in self.tags.split(","))
            return self.tags.strip() == "*" or any(match is not None and match[1] == version for match in found)
        return self.since is not None and stored.updated.replace(microsecond=0) <= self.since


NOTHING = Known()
