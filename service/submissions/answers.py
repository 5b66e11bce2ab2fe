"""What an expression found, as the answer of a question; what does not fit is refused, never bent."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from service.errors import Unprocessable
from service.fhir.json import encode
from service.fhir.ucum_conversion import convert
from service.submissions.forms import Question
from service.submissions.questionnaire import UCUM

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
Answer = dict[str, Any]


class Unmapped(Exception):
    """The record has a value for which the form has no place. `why` does not repeat the value."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


def answer_of(question: Question, value: Any) -> Answer:
    """The `value[x]` of an answer: `{"valueDate": …}`. Raises Unmapped.

    A date is as precise as the record; a time of day is cut off. A quantity in another unit is converted exactly.
    """
    value = getattr(value, "data", value)
    if question.type == "choice":
        option = question.options.get(value) if isinstance(value, str) else None
        if option is None:
            raise Unmapped("The record has a value that is none of the options")
        return {"valueCoding": option}
    if question.type == "date":
        found = _DATE.match(value) if isinstance(value, str) else None
        if found is None:
            raise Unmapped("The record has a date in words or of another form")
        return {"valueDate": found[0]}
    if question.type == "quantity":
        return {"valueQuantity": _quantity(question, value)}
    if not isinstance(value, str) or not value.strip():
        raise Unmapped("The record has a value that is no text")
    return {"valueString": value.strip()}


def same(answer: Answer) -> bytes:
    """Equal for equal answers: 1.0 and 1.00 are one value."""
    quantity = answer.get("valueQuantity")
    if quantity is None:
        return encode(answer)
    return encode([str(quantity["value"].normalize()), quantity["code"]])


def _quantity(question: Question, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or value.get("value") is None:
        raise Unmapped("The record has no measured value")
    if "comparator" in value:
        raise Unmapped("The record has a bound and no value")
    if value.get("system") != UCUM or "code" not in value:
        raise Unmapped("The record does not state the unit")
    number, unit = Decimal(str(value["value"])), value["code"]
    if unit not in question.units:
        try:
            number, unit = convert(number, unit, question.units[0]).value, question.units[0]
        except Unprocessable:
            raise Unmapped("The unit of the record cannot be turned into one of the form") from None
    return {"value": number, "unit": unit, "system": UCUM, "code": unit}
