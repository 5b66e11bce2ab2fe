"""Asks terminology operations and checks that their answers are valid R4."""

from __future__ import annotations

from typing import Any

import httpx

from service.conformance.validator import Validator

# What R4's OperationDefinitions let each operation answer; code and system of $validate-code are those of R5.
OUT = {
    "validate-code": {"result", "message", "display", "code", "system"},
    "lookup": {"name", "version", "display", "designation", "property"},
    "subsumes": {"outcome"},
    "translate": {"result", "message", "match"},
}
Answers = dict[str, list[Any]]


def checked(validator: Validator, answer: httpx.Response) -> dict[str, Any]:
    """The resource of a 200, which must be valid R4."""
    assert answer.status_code == 200, answer.text
    resource = answer.json()
    assert [issue for issue in validator.check(resource) if issue.severity == "error"] == []
    return resource


def parts(parameters: list[dict[str, Any]]) -> Answers:
    """Name → values, parts as such a mapping again."""
    found: Answers = {}
    for one in parameters:
        values = [value for key, value in one.items() if key.startswith("value")]
        found.setdefault(one["name"], []).append(values[0] if values else parts(one["part"]))
    return found


def issues(answer: httpx.Response) -> list[dict[str, Any]]:
    """The issues of an OperationOutcome, which must be one."""
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return outcome["issue"]


class Service:
    """Asks and gives back what the answer says."""

    def __init__(self, client: httpx.AsyncClient, validator: Validator) -> None:
        self.client = client
        self.validator = validator

    async def get(self, address: str, **parameters: str) -> Answers:
        answer = await self.client.get(address, params=[(n.replace("_", "-"), v) for n, v in parameters.items()])
        return self._of(address, answer)

    async def post(self, address: str, *parameters: dict[str, Any]) -> Answers:
        body = {"resourceType": "Parameters", "parameter": list(parameters)}
        return self._of(address, await self.client.post(address, json=body))

    async def refused(self, address: str, *parameters: dict[str, Any], **query: str) -> tuple[int, str, str]:
        """Status, issue code and text of the first issue."""
        if parameters:
            body = {"resourceType": "Parameters", "parameter": list(parameters)}
            answer = await self.client.post(address, json=body)
        else:
            answer = await self.client.get(address, params=[(n.replace("_", "-"), v) for n, v in query.items()])
        (issue,) = issues(answer)
        return answer.status_code, issue["code"], issue["diagnostics"]

    async def expand(self, address: str = "/ValueSet/$expand", **parameters: str) -> dict[str, Any]:
        named = [(name.replace("_", "-"), value) for name, value in parameters.items()]
        return checked(self.validator, await self.client.get(address, params=named))["expansion"]

    def _of(self, address: str, answer: httpx.Response) -> Answers:
        resource = checked(self.validator, answer)
        found = parts(resource["parameter"])
        assert found.keys() <= OUT[address.rpartition("$")[2]]
        return found


def codes(expansion: dict[str, Any]) -> list[str]:
    """The codes of an expansion, nested ones behind their parents."""
    found = []
    for one in expansion.get("contains", []):
        found += [one["code"], *codes(one)]
    return found
