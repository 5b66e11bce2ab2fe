"""The patients of the trial as their hospital knows them, and what its laboratory measured later. All of it invented.

Of LOINC only the codes that `mappings/isikok-19/concept-maps/laboratory.json` has; everything else is a code of the
laboratory's own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from service.simulators.wire import Resource

SUBJECT = "https://cart-fhir.example/fhir/identifier/subject"
MRN = "https://hospital.example/mrn"
ACCESSION = "https://hospital.example/accession"
LAB = "https://hospital.example/lab"
PROCEDURES = "https://hospital.example/procedure"
BAGS = "https://hospital.example/bag"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"

# Sex and age as in Table 1 of the trial's report; names and days of birth are invented.
_TRIAL = (
    ("ISIKOK19-001", "male", 52, "Aydın", "Deneme"),
    ("ISIKOK19-002", "female", 22, "Bahar", "Örnek"),
    ("ISIKOK19-003", "female", 31, "Ceren", "Sınama"),
    ("ISIKOK19-004", "female", 57, "Defne", "Deneme"),
    ("ISIKOK19-005", "male", 39, "Emre", "Örnek"),
    ("ISIKOK19-006", "male", 54, "Ferit", "Sınama"),
    ("ISIKOK19-007", "male", 20, "Güven", "Deneme"),
)
_FIRST_INFUSION = datetime(2021, 7, 19, 9, 0, tzinfo=UTC)
_FIRST_DRAW = datetime(2021, 8, 2, 7, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Test:
    """A test of the laboratory: `unit` as it prints it, `ucum` where it also sends the code."""

    __test__ = False

    code: str
    name: str
    low: str
    high: str
    unit: str
    ucum: str | None = None
    loinc: str | None = None


# The same analyte comes with LOINC and without, and in units of which some must be converted.
TESTS = (
    Test("LDH", "Laktat dehidrogenaz", "2.40", "9.80", "µkat/L", "ukat/L", "2532-0"),
    Test("LDH-U", "LDH", "145", "590", "U/L", "U/L"),
    Test("FERR", "Ferritin", "180", "2400", "µg/L", "ug/L", "2276-4"),
    Test("FERR-M", "Ferritin (molar)", "400", "5400", "pmol/L", "pmol/L"),
    Test("CRP", "C-reaktif protein", "0.10", "17.00", "mg/dL", "mg/dL", "1988-5"),
    Test("CRP-L", "CRP", "1.0", "170.0", "mg/L"),
    Test("SEDIM", "Sedimentasyon", "2", "90", "mm/saat"),
    Test("HEM-IDX", "Hemoliz indeksi", "0", "60", "AU"),
)


def hospital(seed: int = 0, draws: int = 4) -> list[Resource]:
    """Eight patients, seven of the trial, and `draws` days of results for each: the same for the same seed.

    Patients come first, then the infusions of the seven, which the trial's report does not date. Ids, record numbers
    and accession numbers are the hospital's own; the trial's pseudonym is one more identifier of the seven.
    """
    chance = random.Random(seed)
    resources: list[Resource] = []
    people = [*_TRIAL, (None, "female", 45, "Hale", "Yabancı")]
    ids = [f"{chance.randrange(16**10):010x}" for _ in people]
    for id_, (subject, gender, age, given, family) in zip(ids, people, strict=True):
        born = datetime(2020 - age, 1, 1, tzinfo=UTC) + timedelta(days=chance.randrange(365))
        number = f"{chance.randrange(10**7):07d}"
        resources.append(_patient(id_, number, subject, gender, f"{born:%Y-%m-%d}", given, family))
    resources += [_infusion(chance, ids[number], number) for number in range(len(_TRIAL))]
    for id_ in ids:
        for draw in range(draws):
            when = _FIRST_DRAW + timedelta(days=28 * draw + chance.randrange(7), minutes=chance.randrange(120))
            tests = [test for test in TESTS if chance.random() < 0.7] or list(TESTS[:1])
            resources += [_result(chance, id_, test, when) for test in tests]
    return resources


def result(patient: str, test: Test, value: str, when: datetime, accession: str, id_: str | None = None) -> Resource:
    """A laboratory Observation of `Patient/<patient>` as this hospital sends it, with `value` to the digit."""
    codings = [{"system": LAB, "code": test.code, "display": test.name}]
    if test.loinc:
        codings.insert(0, {"system": LOINC, "code": test.loinc})
    quantity: dict[str, Any] = {"value": Decimal(value), "unit": test.unit}
    if test.ucum:
        quantity |= {"system": UCUM, "code": test.ucum}
    return {
        "resourceType": "Observation",
        **({"id": id_} if id_ else {}),
        "identifier": [{"system": ACCESSION, "value": accession}],
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "laboratory"}]}],
        "code": {"coding": codings, "text": test.name},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": when.isoformat(),
        "issued": (when + timedelta(hours=3)).isoformat(),
        "valueQuantity": quantity,
    }


def poison(patient: str) -> list[Resource]:
    """Observations of `Patient/<patient>` that R4 forbids."""
    category = [{"coding": [{"system": CATEGORY, "code": "laboratory"}]}]
    subject = {"reference": f"Patient/{patient}"}
    bare: Resource = {"resourceType": "Observation", "id": "poison-bare", "category": category, "subject": subject}
    dated = {
        **bare,
        "id": "poison-date",
        "status": "final",
        "code": {"coding": [{"system": LAB, "code": "LDH"}]},
        "effectiveDateTime": "31.12.2021",
    }
    return [bare, dated]


def _patient(id_: str, number: str, subject: str | None, gender: str, born: str, given: str, family: str) -> Resource:
    identifiers = [{"use": "usual", "system": MRN, "value": number}]
    if subject:
        identifiers.append({"use": "secondary", "system": SUBJECT, "value": subject})
    return {
        "resourceType": "Patient",
        "id": id_,
        "identifier": identifiers,
        "active": True,
        "name": [{"use": "official", "family": family, "given": [given]}],
        "gender": gender,
        "birthDate": born,
    }


def _infusion(chance: random.Random, patient: str, number: int) -> Resource:
    """The infusion of the cells as the ward documents it: a code of its own, and the bag by what its label says."""
    when = _FIRST_INFUSION + timedelta(days=number, minutes=chance.randrange(180))
    return {
        "resourceType": "Procedure",
        "id": f"{chance.randrange(16**12):012x}",
        "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]},
        "extension": [
            {
                "url": "https://cart-fhir.example/fhir/StructureDefinition/infused-product",
                "valueReference": {
                    "type": "BiologicallyDerivedProduct",
                    "identifier": {"system": BAGS, "value": f"BAG-{number + 1:04d}"},
                },
            }
        ],
        "identifier": [{"system": ACCESSION, "value": f"{when:%y%m%d}-P{number + 1}"}],
        "status": "completed",
        "category": {"text": "Hücresel tedavi"},
        "code": {
            "coding": [{"system": PROCEDURES, "code": "CART-INF", "display": "CAR-T hücre infüzyonu"}],
            "text": "CAR-T hücre infüzyonu",
        },
        "subject": {"reference": f"Patient/{patient}"},
        "performedDateTime": when.isoformat(),
    }


def _result(chance: random.Random, patient: str, test: Test, when: datetime) -> Resource:
    digits = len(test.low.partition(".")[2])
    low, high = (int(text.replace(".", "")) for text in (test.low, test.high))
    value = Decimal(chance.randint(low, high)).scaleb(-digits)
    accession = f"{when:%y%m%d}-{chance.randrange(10**6):06d}"
    return result(patient, test, f"{value:f}", when, accession, f"{chance.randrange(16**12):012x}")
