"""A hospital over real HTTP, and what tests say of its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from service.simulators.ehr import PLAIN, Ehr, Quirks
from service.simulators.serving import serving

LAB = "https://hospital.example/lab"


class Client(httpx.Client):
    """A client of one simulator, and the simulator, to look behind its answers."""

    ehr: Ehr

    def bundle(self, path: str) -> dict[str, Any]:
        answer = self.get(f"/fhir/{path}" if not path.startswith("http") else path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def pages(self, path: str) -> list[dict[str, Any]]:
        """All pages from `path` on, by their `next` links."""
        pages = [self.bundle(path)]
        while (url := next_of(pages[-1])) is not None:
            assert len(pages) < 200
            pages.append(self.bundle(url))
        return pages

    def ids(self, path: str) -> list[str]:
        """The ids of all matches, in order, with those that come twice."""
        return [each["id"] for page in self.pages(path) for each in matches(page)]


def next_of(page: dict[str, Any]) -> str | None:
    return next((link["url"] for link in page["link"] if link["relation"] == "next"), None)


def matches(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in page.get("entry", []) if entry["search"]["mode"] == "match"]


def outcomes(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in page.get("entry", []) if entry["search"]["mode"] == "outcome"]


def observation(id_: str | None = None, value: float = 1, **changes: Any) -> dict[str, Any]:
    made = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LAB, "code": "LDH"}]},
        "subject": {"reference": "Patient/p1"},
        "valueQuantity": {"value": value, "unit": "µkat/L"},
    }
    return made | ({"id": id_} if id_ else {}) | changes


def numbered(count: int) -> list[dict[str, Any]]:
    return [observation(f"o{number:03d}", number) for number in range(count)]


@contextmanager
def opened(resources: Sequence[dict[str, Any]] = (), quirks: Quirks = PLAIN, **options: Any) -> Iterator[Client]:
    ehr = Ehr(resources, quirks, **options)
    with serving(ehr) as url, Client(base_url=url, timeout=10) as client:
        client.ehr = ehr
        yield client


@pytest.fixture
def hospital_of() -> Iterator[Callable[..., Client]]:
    """Starts a hospital with resources and quirks, and gives a client of it."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(opened(*args, **options))
