"""The schedules that ship with the service, as PlanDefinitions: https://hl7.org/fhir/R4/plandefinition.html

Each report is an action, `[form].[time point]`, that follows the action `infusion` by a range of days: from its lower
end the report can be made, the upper end is its last day.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from service.errors import Internal
from service.fhir.operations import Resource
from service.settings import shipped
from service.submissions.forms import known
from service.submissions.questionnaire import UCUM
from service.trial.mapping.identity import BASE
from service.trial.mapping.source import read_yaml

REGISTRIES = ("cibmtr",)
ANCHOR = "infusion"
CIBMTR = f"{BASE}/PlanDefinition/cibmtr-cellular-therapy"


@dataclass(frozen=True, slots=True)
class Report:
    """An action of a PlanDefinition: the report that is owed, in days after the infusion.

    `questionnaire` is the canonical of its form, None where the service has no such form. The report speaks of the
    days from `begins`, the time point of the same form's report before, to `due`.
    """

    form: str
    point: str
    title: str
    questionnaire: str | None
    opens: int
    due: int
    begins: int


@cache
def known_plans() -> dict[str, Resource]:
    """The shipped PlanDefinitions by url."""
    plans = (build(shipped("mappings", "registries", registry)) for registry in REGISTRIES)
    return {plan["url"]: plan for plan in plans}


def build(folder: Path) -> Resource:
    """The PlanDefinition of `schedule.yaml` in `folder`. Raises Internal."""
    source = read_yaml(folder / "schedule.yaml", "schedule.yaml")
    if source.issues:
        raise Internal(issues=source.issues)
    said = source.value
    actions = [_action(**one) for one in said["reports"]]
    yearly = said["yearly"]
    for year in range(1, yearly["years"] + 1):
        opens = int(365.25 * year)
        title = f"{yearly['title']} {year}"
        actions.append(
            _action(yearly["form"], f"year-{year}", title, opens, opens + yearly["due"], yearly["questionnaire"])
        )
    return {
        "resourceType": "PlanDefinition",
        "id": said["plan"],
        "url": f"{BASE}/PlanDefinition/{said['plan']}",
        "version": said["version"],
        "name": "".join(word.capitalize() for word in said["plan"].split("-")),
        "title": said["title"],
        "status": "active",
        "experimental": False,
        "publisher": "cart-fhir",
        "description": said["description"],
        "action": [{"id": ANCHOR, "title": "Infusion of the product"}, *actions],
    }


def reports(plan: Resource) -> tuple[Report, ...]:
    """The reports of a PlanDefinition of this shape, in its order. Raises KeyError or IndexError for another shape."""
    found: list[Report] = []
    for action in plan["action"]:
        if action.get("id") == ANCHOR:
            continue
        form, _, point = action["id"].partition(".")
        days = action["relatedAction"][0]["offsetRange"]
        begins = max((one.opens for one in found if one.form == form), default=0)
        canonical = action.get("definitionCanonical")
        opens, due = int(days["low"]["value"]), int(days["high"]["value"])
        found.append(Report(form, point, action["title"], canonical, opens, due, begins))
    return tuple(found)


def _action(
    form: str, point: str, title: str, opens: int, due: int, questionnaire: str | None = None
) -> dict[str, Any]:
    canonical = known()[f"{BASE}/Questionnaire/{questionnaire}"].canonical if questionnaire else None
    days = {"low": _days(opens), "high": _days(due)}
    return {
        "id": f"{form}.{point}",
        "title": title,
        "relatedAction": [{"actionId": ANCHOR, "relationship": "after", "offsetRange": days}],
        **({"definitionCanonical": canonical} if canonical else {}),
    }


def _days(count: int) -> dict[str, Any]:
    return {"value": count, "unit": "days", "system": UCUM, "code": "d"}
