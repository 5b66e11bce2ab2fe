"""Pulling from a hospital that is not the bottleneck, and how long a change is on its way, by the served service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from bench import resources
from bench.report import Report
from bench.server import _running, _wait, free_port, service

OBSERVATIONS = int(os.environ.get("BENCH_PULLED", "100000"))
LIMIT = 600.0  # seconds for one pull
PATIENCE = 60.0  # seconds for one resource to arrive
SUBJECTS = "https://cart-fhir.example/fhir/identifier/subject"


def call(port: int, method: str, path: str, body: Any = None) -> Any:
    """The JSON answer of the service."""
    content = json.dumps(body).encode() if body is not None else None
    headers = {"content-type": "application/json" if not path.startswith("/fhir") else "application/fhir+json"}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, headers, method=method)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def pulled(report: Report) -> None:
    """One pull of everything by a served service, with its memory before and after."""
    port = free_port()
    served = os.environ | {"BENCH_OBSERVATIONS": str(OBSERVATIONS), "BENCH_PORT": str(port)}
    with (
        tempfile.TemporaryDirectory(prefix="cart-fhir-bench-") as name,
        _running([sys.executable, "-m", "bench.hospital"], served) as hospital,
        service(Path(name), f"sqlite:///{name}/cart-fhir.sqlite") as (here, process, _),
    ):
        _wait(port, hospital, "/fhir/metadata")
        call(here, "POST", "/fhir", json.loads(resources.patients()))
        connection = {
            "base": f"http://127.0.0.1:{port}/fhir",
            "patient_systems": ["https://hospital.example/mrn"],
            "pull": ["Observation?category=laboratory"],
        }
        call(here, "PUT", "/sync/connections/bench", connection)
        memory = [_memory(process)]
        seconds = _run(here, process, memory)
        report.fact(f"SQLite: pull of {OBSERVATIONS:,} Observations, resources/s", f"{OBSERVATIONS / seconds:,.0f}")
        report.fact("SQLite: resident memory before, at a quarter, at the most, MB", _shown(memory))
        found = call(here, "GET", "/fhir/Observation?_summary=count")["total"]
        if found != OBSERVATIONS:
            raise SystemExit(f"{found} of {OBSERVATIONS} Observations arrived")


def _run(here: int, process: subprocess.Popen[bytes], memory: list[float]) -> float:
    start = time.perf_counter()
    job = call(here, "POST", "/sync/connections/bench/run", {})["job"]
    while (state := call(here, "GET", f"/jobs/{job}")["state"]) in ("waiting", "running"):
        memory.append(_memory(process))
        if time.perf_counter() - start > LIMIT:
            raise SystemExit("the pull takes too long")
        time.sleep(0.25)
    if state != "done":
        raise SystemExit(f"the pull is {state}")
    return time.perf_counter() - start


def _memory(process: subprocess.Popen[bytes]) -> float:
    return psutil.Process(process.pid).memory_info().rss / 2**20


def _shown(memory: list[float]) -> str:
    return f"{memory[0]:.0f} / {memory[len(memory) // 4]:.0f} / {max(memory):.0f}"


def delays(report: Report, rounds: int = 10) -> None:
    """Seconds until what one side files is on the other, by a connection that looks every second."""
    port = free_port()
    simulator = [sys.executable, "-m", "service", "ehr-simulator", "--port", str(port)]
    with (
        tempfile.TemporaryDirectory(prefix="cart-fhir-bench-") as name,
        _running(simulator, dict(os.environ)) as hospital,
        service(Path(name), f"sqlite:///{name}/cart-fhir.sqlite") as (here, _, _),
    ):
        _wait(port, hospital, "/fhir/metadata")
        there = next(
            one for one in call(port, "GET", "/control/resources") if any(_is_subject(i) for i in one["identifier"])
        )
        subject = next(one for one in there["identifier"] if _is_subject(one))
        ours = call(here, "POST", "/fhir/Patient", {"resourceType": "Patient", "identifier": [subject]})
        connection = {
            "base": f"http://127.0.0.1:{port}/fhir",
            "patient_systems": [SUBJECTS],
            "pull": ["Observation?category=laboratory"],
            "push": ["Observation"],
            "every": 1,
        }
        call(here, "PUT", "/sync/connections/bench", connection)
        pulls = [_filed(port, here, there["id"], 2 * number, "/control/put") for number in range(rounds)]
        pushes = [_filed(here, port, ours["id"], 2 * number + 1, "/fhir/Observation") for number in range(rounds)]
        report.fact("seconds from the hospital to here: median, longest", _seconds(pulls))
        report.fact("seconds from here to the hospital: median, longest", _seconds(pushes))


def _is_subject(identifier: dict[str, Any]) -> bool:
    return bool(identifier["system"] == SUBJECTS)


def _filed(where: int, other: int, patient: str, number: int, path: str) -> float:
    """Files a result of the patient at one side and waits for it at the other."""
    day = f"2022-01-{number + 1:02}"
    result = resources.observation(number) | {
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": f"{day}T08:00:00+03:00",
        "identifier": [{"system": "https://bench.example/result", "value": f"B{number}"}],
    }
    call(where, "POST", path, result)
    start = time.perf_counter()
    query = f"/fhir/Observation?identifier=https://bench.example/result%7CB{number}"
    while not call(other, "GET", query).get("entry"):
        if time.perf_counter() - start > PATIENCE:
            raise SystemExit("what was filed did not arrive")
        time.sleep(0.05)
    return time.perf_counter() - start


def _seconds(found: list[float]) -> str:
    return f"{sorted(found)[len(found) // 2]:.1f} / {max(found):.1f}"
