"""The FHIR client with which the service speaks to other servers: login, paging, pace, repeats, errors.

    async with Remote("https://ehr.example/fhir", Access("cart", Path("key.pem"), ("system/*.read",))) as ehr:
        async for page in ehr.pages("Observation?_lastUpdated=ge2026-01-01&category=laboratory"):
            ...

Nothing else in the service uses the HTTP library, and none of its types leaves this room.
"""

from service.remote.answers import Got, Page
from service.remote.client import Remote
from service.remote.limits import Limits
from service.remote.tokens import Access

__all__ = ["Access", "Got", "Limits", "Page", "Remote"]
