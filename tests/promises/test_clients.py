"""Public FHIR clients, unchanged, against a running service: fhirpy, SMART's fhirclient and fhir-kit-client."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

from service.settings import Settings
from service.store.migrate import migrate
from tests.promises.live import serving

HERE = Path(__file__).parent / "clients"
MRN = "https://hospital.example/mrn"
FERRITIN = {"coding": [{"system": "http://loinc.org", "code": "2276-4"}]}
QUANTITY = {"value": 1541.5, "system": "http://unitsofmeasure.org", "code": "ng/mL"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The FHIR base of a service over an empty store."""
    folder = tmp_path_factory.mktemp("clients")
    url = f"sqlite:///{folder / 'store.sqlite'}"
    migrate(Settings(database_url=url))
    with serving(url, folder) as (port, _):
        yield f"http://127.0.0.1:{port}/fhir"


def identifier(value: str) -> list[dict[str, str]]:
    return [{"system": MRN, "value": value}]


async def test_fhirpy_saves_searches_pages_and_deletes(base: str) -> None:
    client = AsyncFHIRClient(base)
    who = client.resource("Patient", identifier=identifier("fhirpy"), gender="female")
    await who.save()
    assert who.id
    who["gender"] = "male"
    await who.save()
    again = await client.reference("Patient", who.id).to_resource()
    assert again.serialize() == who.serialize()
    for _ in range(5):
        lab = client.resource("Observation", status="final", code=FERRITIN, valueQuantity=QUANTITY)
        lab["subject"] = who.to_reference()
        await lab.save()
    found = client.resources("Observation").search(subject=who.to_reference().reference)
    assert await found.count() == 5
    assert len(await found.limit(2).fetch_all()) == 5
    assert len(await found.sort("-_lastUpdated").limit(2).fetch()) == 2
    page = await found.include("Observation", "subject").fetch_raw()
    assert {entry.resource.resourceType for entry in page.entry} == {"Observation", "Patient"}
    await lab.delete()
    with pytest.raises(ResourceNotFound):
        await lab.refresh()


async def test_fhirpy_conditional_interactions(base: str) -> None:
    client = AsyncFHIRClient(base)
    wanted = client.resources("Patient").search(identifier=f"{MRN}|once")
    first, created = await wanted.update(client.resource("Patient", identifier=identifier("once")))
    changed, again = await wanted.update(client.resource("Patient", identifier=identifier("once"), gender="other"))
    assert (created, again) == (True, False)
    assert (changed.id, changed.gender) == (first.id, "other")
    # It sends the condition in the URL, where FHIR has none for a create: refused rather than made twice.
    with pytest.raises(OperationOutcome, match="If-None-Exist"):
        await wanted.get_or_create(client.resource("Patient", identifier=identifier("once")))
    assert await wanted.count() == 1
    for _ in range(2):
        await client.resource("Patient", identifier=identifier("twice")).save()
    several = client.resources("Patient").search(identifier=f"{MRN}|twice")
    with pytest.raises(MultipleResourcesFound):
        await several.get()
    with pytest.raises(MultipleResourcesFound):
        await several.update(client.resource("Patient", identifier=identifier("twice")))
    with pytest.raises(OperationOutcome) as refused:
        await client.resource("Patient", gender="banana").save()
    assert "Patient.gender" in str(refused.value)


def test_smart_client_reads_its_capability_and_writes(base: str) -> None:
    smart = FHIRClient(settings={"app_id": "test", "api_base": base})
    smart.prepare()
    assert smart.ready
    who = Patient({"resourceType": "Patient", "identifier": identifier("smart"), "birthDate": "1961-03"})
    made = Patient(who.create(smart.server))
    made.gender = "female"
    made.update(smart.server)
    assert Patient.read(made.id, smart.server).as_json()["meta"]["versionId"] == "2"
    for _ in range(3):
        body: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": FERRITIN}
        Observation(body | {"subject": {"reference": f"Patient/{made.id}"}}).create(smart.server)
    search = Observation.where(struct={"subject": f"Patient/{made.id}", "_count": "2"})
    found = list(search.perform_resources_iter(smart.server))
    assert len(found) == 3
    assert found[0].subject.resolved(Patient).as_json()["birthDate"] == "1961-03"
    found[0].delete(smart.server)
    assert len(list(search.perform_resources_iter(smart.server))) == 2


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """The folder with fhir-kit-client, fetched once for each lock."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if {"node", "clients"} & set(os.environ.get("CART_FHIR_REQUIRE", "").split(",")):
            pytest.fail("Node is required and missing")
        pytest.skip("Node is missing")
    lock = sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"cart-fhir-clients-{os.getuid()}-{lock}"
    if not folder.is_dir():
        new = Path(tempfile.mkdtemp(dir=folder.parent))
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, new)
        subprocess.run(["npm", "ci", "--loglevel=error"], cwd=new, check=True, capture_output=True, timeout=120)
        new.rename(folder)
    return folder


def test_fhir_kit_client_runs_its_application(base: str, node_modules: Path) -> None:
    program = shutil.copy(HERE / "kit.mjs", node_modules)
    done = subprocess.run(["node", program, base], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
