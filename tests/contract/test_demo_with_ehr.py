"""`cart-fhir demo --with-ehr` as its user meets it: results arrive, a report is sent, twice is once."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

SECONDS = 60
ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
SUBJECT = "https://cart-fhir.example/fhir/identifier/subject|ISIKOK19-001"


def three_ports() -> int:
    """The first of three ports in a row that nobody listens on."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = int(probe.getsockname()[1])
        try:
            for port in (first, first + 1, first + 2):
                with socket.socket() as other:
                    other.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


@contextmanager
def demo(folder: Path, port: int) -> Iterator[None]:
    environment = os.environ | {"CART_FHIR_DATA_DIR": str(folder), "CART_FHIR_DATABASE_URL": "", "PORT": str(port)}
    command = [sys.executable, "-m", "service", "demo", "--with-ehr"]
    with (folder / "out.txt").open("ab") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            wait(lambda: get(port, "/health/ready") is not None, folder)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(SECONDS)


def wait(true: Any, folder: Path) -> None:
    until = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < until, (folder / "out.txt").read_text()
        time.sleep(0.1)


def get(port: int, path: str) -> Any:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10)
    except httpx.TransportError:
        return None
    assert answer.status_code == 200, answer.text
    return answer.json()


def total(port: int, path: str) -> int:
    return int(get(port, f"/fhir/{path}&_summary=count")["total"])


def walk_through(port: int) -> None:
    """The README's walk through the demo, as it stands there."""
    for block in (block for block in BLOCKS if block.startswith("# ")):
        command = block
        for number in range(3):
            command = command.replace(f"localhost:{8000 + number}", f"127.0.0.1:{port + number}")
        done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, done.stderr
        out = done.stdout
        assert "OperationOutcome" not in out, out
        if "control/put" in command:
            assert '"code":"ng/mL"' in out
            assert '"code":"ug/L"' in out
        else:
            assert out.count('"state":"CMP"') == 2, out
            assert out.count("submission") >= 1


@pytest.mark.xdist_group("demo")
def test_demo_pulls_results_and_files_a_report(tmp_path: Path) -> None:
    port = three_ports()
    with demo(tmp_path, port):
        ferritin = f"Observation?code=http://loinc.org|2276-4&patient.identifier={SUBJECT}"
        before = total(port, ferritin)
        (patient,) = [
            one["id"]
            for one in get(port + 1, "/control/resources")
            if one["resourceType"] == "Patient" and SUBJECT.partition("|")[2] in str(one)
        ]
        new = {
            "resourceType": "Observation",
            "status": "final",
            "category": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                            "code": "laboratory",
                        }
                    ]
                }
            ],
            "code": {"coding": [{"system": "http://loinc.org", "code": "2276-4"}]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": "2021-11-01T08:00:00+03:00",
            "valueQuantity": {"value": 431.50, "unit": "µg/L", "system": "http://unitsofmeasure.org", "code": "ug/L"},
        }
        httpx.post(f"http://127.0.0.1:{port + 1}/control/put", json=new).raise_for_status()
        wait(lambda: total(port, ferritin) == before + 1, tmp_path)
        found = get(port, f"/fhir/{ferritin}&date=2021-11-01")["entry"][0]["resource"]
        assert (found["valueQuantity"]["value"], found["valueQuantity"]["code"]) == (431.5, "ng/mL")
        assert found["meta"]["source"].startswith(f"http://127.0.0.1:{port + 1}/fhir/Observation/")
        sent = [one for one in get(port, "/submissions?_count=200")["submissions"] if one["message"]]
        assert [(one["timePoint"], one["state"]) for one in sent] == [("day-100", "CMP")]
        assert len(get(port + 2, "/control/received")) == 1
        counted = total(port, "Observation?_id:missing=false"), total(port, "Task?code=registry-report")
        walk_through(port)
        counted = (counted[0] + 1, counted[1])
    with demo(tmp_path, port):  # both simulators begin anew: what they say again changes nothing
        assert (total(port, "Observation?_id:missing=false"), total(port, "Task?code=registry-report")) == counted
        assert get(port + 2, "/control/received") == []
