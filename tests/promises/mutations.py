"""Bundles and query strings that are nearly right: what a fuzzer sends. All randomness is the caller's, so a seed
makes a case again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any
from urllib.parse import quote

from service.conformance.definitions import Definitions

CANARY = "Kanarya-7431"  # stands for a patient's data: no error may repeat it
SYSTEM = "https://hospital.example/fuzz"
WRONG: tuple[Any, ...] = (
    None, True, False, 0, -1, 3.5, 10**30, 10**400, "", " ", "x", [], {}, [[]], [None], {"": ""}, [{}], {"x": None},
    float("nan"), float("inf"), -0.0, "1", "true", "2021-02-30", "0000", "9999-12-31", "T", "#", "#x", "urn:uuid:x",
    "urn:oid:", "Patient/", "Patient?", "Patient?name=", "Patient?identifier=|", "http://", "http://x/Patient/1",
    "Patient/1/_history/1", "Bundle/1", "../../etc/passwd", "'; DROP TABLE resource; --", "%00", "%", "\\", "${x}",
)  # fmt: skip
ODD = (
    "\x00", "\x01", "\x7f", "\u200f\u202e", "İıŞşÇğ", "\U0001f9ec", "e\u0301" * 3, "\ufeff", "\uffff", "\U0010ffff",
    "\ud800", "\udfff\ud800", "\u2028", "ﬃ", "\t\r\n", "<script>alert(1)</script>", "ß" * 300, "A" * 3000,
)  # fmt: skip
METHODS = ("get", "PATCH", "HEAD", "GET", "OPTIONS", "", "POST ", "DELETE", "PUT", None, 1, "TRACE")
URLS = (
    "", "/", "Patient", "Patient/", "/Patient/1", "Patient/1", "Patient?", "Patient?identifier=x", "Patient?name:exact",
    "Patient?_has:Observation:subject:code=1", "Observation?subject.name=x", "Patient/1/_history/1", "metadata",
    "Patient/1/_history/999999999999999999", "Patient/1/_history/99999999999999999999", "Patient?_count=" + "9" * 5000,
    "Nothing/1", "Patient/$everything", "http://test/fhir/Patient", "http://elsewhere.example/fhir/Patient/1", "?x=1",
    "Patient?birthdate=ge0001-01-01", "Observation?value-quantity=1e9999999", "Patient?_cursor=AAAA", "Patient#x",
    "Patient/" + "a" * 65, "Patient?identifier=%00", "Patient?identifier=%ff", "Patient?_id=" + "1," * 300 + "1",
)  # fmt: skip
LAST_BYTES = (b"", b"}", b"\x00", b"\xff", b"]]", b"{}")


def good_bundle(random: Random) -> dict[str, Any]:
    """A transaction or batch that a hospital could send: a patient, results, a condition, an update, a search."""
    name = f"{random.randrange(40)}"
    who = {
        "resourceType": "Patient",
        "identifier": [{"system": SYSTEM, "value": name}],
        "name": [{"family": CANARY, "given": ["Ayşe"]}],
        "gender": random.choice(["female", "male"]),
        "birthDate": "1961-03",
    }
    entries: list[dict[str, Any]] = [
        {
            "fullUrl": "urn:uuid:0b7e4c52-8a3e-4d0c-9a4e-5d8f1c2b3a40",
            "resource": who,
            "request": {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={SYSTEM}|{name}"},
        },
        _entry("POST", "Observation", _observation("urn:uuid:0b7e4c52-8a3e-4d0c-9a4e-5d8f1c2b3a40", random)),
        _entry(
            "PUT",
            f"Observation/o{name}",
            _observation(f"Patient?identifier={SYSTEM}|{name}", random) | {"id": f"o{name}"},
        ),
        _entry(
            "PUT",
            f"Patient?identifier={SYSTEM}|b{name}",
            who | {"identifier": [{"system": SYSTEM, "value": f"b{name}"}]},
        ),
        {"request": {"method": "DELETE", "url": f"Observation/d{name}"}},
        {"request": {"method": "GET", "url": f"Observation?code=http://loinc.org|2276-4&_count={random.randrange(4)}"}},
    ]
    random.shuffle(entries)
    return {"resourceType": "Bundle", "type": random.choice(["transaction", "batch"]), "entry": entries}


def _entry(method: str, url: str, resource: dict[str, Any]) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": method, "url": url}}


def _observation(subject: str, random: Random) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "meta": {"tag": [{"system": SYSTEM, "code": "t"}]},
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Ferritin</div>'},
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2276-4"}], "text": "Ferritin"},
        "subject": {"reference": subject},
        "effectiveDateTime": "2021-03-04T08:00:00+03:00",
        "valueQuantity": {"value": random.randrange(5000), "system": "http://unitsofmeasure.org", "code": "ng/mL"},
        "note": [{"text": CANARY}],
        "component": [{"code": {"text": "x"}, "valueString": "y", "_valueString": {"id": "z"}}],
    }


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything inside `node`."""
    for key, child in list(node.items()) if isinstance(node, dict) else list(enumerate(node)):
        yield node, key
        if isinstance(child, (dict, list)):
            yield from places(child)


def mutate(value: Any, random: Random) -> None:
    """Changes one place of `value`, which is a dict or list."""
    container, key = random.choice(list(places(value)) or [({"x": 1}, "x")])
    with suppress(RecursionError):  # what is too deep to copy is deep enough
        random.choice(_MUTATIONS)(container, key, random, value)


def _drop(container: Any, key: Any, random: Random, whole: Any) -> None:
    del container[key]


def _wrong(container: Any, key: Any, random: Random, whole: Any) -> None:
    container[key] = copy.deepcopy(random.choice(WRONG))


def _odd(container: Any, key: Any, random: Random, whole: Any) -> None:
    text = container[key] if isinstance(container[key], str) else ""
    at = random.randrange(len(text) + 1)
    container[key] = text[:at] + random.choice(ODD) + text[at:]


def _huge(container: Any, key: Any, random: Random, whole: Any) -> None:
    small = container[key] if not isinstance(container[key], (dict, list)) else {}
    small = small[:50] if isinstance(small, str) else small  # made huge before, it would outgrow the machine
    container[key] = random.choice([random.choice(ODD) * 20_000, [small] * 300, "9" * 5000])


def _deep(container: Any, key: Any, random: Random, whole: Any) -> None:
    for _ in range(random.choice([3, 30, 70, 120])):
        container[key] = random.choice(
            [[container[key]], {"extension": [container[key]]}, {"contained": container[key]}]
        )


def _again(container: Any, key: Any, random: Random, whole: Any) -> None:
    if isinstance(container, list):
        container.insert(random.randrange(len(container) + 1), copy.deepcopy(container[key]))
    else:
        container[random.choice(["_", "x", "value", "_value", "id", "contained", "ıd"]) + str(key)] = container[key]


def _swap(container: Any, key: Any, random: Random, whole: Any) -> None:
    other, place = random.choice(list(places(whole)))
    other[place], container[key] = copy.deepcopy(container[key]), copy.deepcopy(other[place])


def _ask(container: Any, key: Any, random: Random, whole: Any) -> None:
    requests = [node[k] for node, k in places(whole) if k == "request" and isinstance(node[k], dict)]
    if requests:
        request = random.choice(requests)
        name = random.choice(["method", "url", "url", "ifMatch", "ifNoneExist", "ifNoneMatch"])
        choices = {"method": METHODS, "url": URLS}.get(name, ('W/"1"', '"x"', "W/", "*", 7, *URLS))
        request[name] = random.choice(choices)


_MUTATIONS = (_drop, _wrong, _wrong, _odd, _odd, _huge, _deep, _again, _swap, _ask, _ask)


def body(value: Any, random: Random) -> bytes:
    """The JSON of `value`, now and then cut off or with a byte changed."""
    try:
        made = json.dumps(value, ensure_ascii=random.random() < 0.7).encode("utf-8", "surrogatepass")
    except RecursionError:
        made = b'{"resourceType":"Bundle","type":"batch","entry":' + b"[" * 5000 + b"]" * 5000 + b"}"
    if random.random() < 0.06:
        return made[: random.randrange(len(made))] + random.choice(LAST_BYTES)
    if random.random() < 0.06:
        at = random.randrange(len(made))
        return made[:at] + bytes([random.randrange(256)]) + made[at + 1 :]
    return made


class Queries:
    """Makes query strings over all search parameters of R4 and ours."""

    RESULT = (
        "_count",
        "_sort",
        "_include",
        "_revinclude",
        "_total",
        "_summary",
        "_format",
        "_cursor",
        "_pretty",
        "_elements",
    )
    MODIFIERS = (
        "exact",
        "contains",
        "not",
        "missing",
        "identifier",
        "below",
        "above",
        "in",
        "text",
        "of-type",
        "Patient",
        "x",
        "",
    )
    PREFIXES = ("", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "zz")
    VALUES = (
        "1", "0", "-1", "1e400", "1e9999999", "1E-9999999", "-1e999999999999999999", "NaN", "inf", "1.00", "٣",
        "5" * 4400, "2021", "2021-03-04", "2021-03-04T08:00:00Z", "2021-03-04T08:00:00 03:00", "0001-01-01",
        "0001-01-01T00:00:00+03:00", "9999-12-31T23:59:59-14:00", "2021-13", "2021-02-29", "2021-03-04T24:00:00Z",
        "2021-03-04T08:00:60Z", "0000", "http://loinc.org|2276-4", "|2276-4", "http://loinc.org|", "|", "||",
        "a|b|c|d", "1|http://unitsofmeasure.org|mg", "1||", "Patient/1", "Patient/", "http://x/Patient/1",
        "urn:uuid:1", "#1", "Patient/1/_history/1", "true", "final", "\\", "\\,", "a\\|b", "a\\\\,b", ",", ",,a", "%",
        "_", "*", "'", '"', "$", "name", "-name", "-_id,_id", "Observation:subject", "Observation:subject:Patient",
        "*:*", "a:b:c:d", "accurate", "count", "json", "A" * 3000, "",
    )  # fmt: skip

    def __init__(self, definitions: Definitions) -> None:
        self.parameters = definitions.search_parameters
        self.types = ["Patient", "Observation", *sorted(definitions.resource_types)]

    def make(self, random: Random) -> str:
        """`[type]?[query]`, the query percent-encoded, now and then badly."""
        type_ = random.choice(self.types[:2] if random.random() < 0.5 else self.types)
        pairs = [self._pair(type_, random) for _ in range(random.choice([1, 1, 1, 2, 3, 12]))]
        return f"{type_}?{'&'.join(pairs)}"[:60_000]  # the client takes no more than 65,536

    def _pair(self, type_: str, random: Random) -> str:
        name = random.choice(self.RESULT) if random.random() < 0.3 else self._name(type_, random)
        value = ",".join(self._value(random) for _ in range(random.choice([1, 1, 1, 2, 60])))
        encoded = quote(value.encode("utf-8", "surrogatepass"), safe=random.choice(["", "|,:/ "]))
        return f"{quote(name, safe=':.')}{random.choice(['=', '=', '=', '=', '', '=='])}{encoded}"

    def _value(self, random: Random) -> str:
        return random.choice(self.PREFIXES) + random.choice(ODD if random.random() < 0.15 else self.VALUES)

    def _name(self, type_: str, random: Random) -> str:
        code = random.choice([*self.parameters.of(type_), "_id", "_lastUpdated", "nothing"])
        name = code
        if random.random() < 0.35:
            name += ":" + random.choice(self.MODIFIERS)
        if random.random() < 0.25:
            name += "." + ".".join(self._name("Patient", random) for _ in range(random.choice([1, 1, 2, 6])))
        if random.random() < 0.1:
            name = "_has:" * random.choice([1, 1, 2, 9]) + f"Observation:subject:{name}"
        return name
