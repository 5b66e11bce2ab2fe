"""The simulators as commands, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.promises.live import free_port


@contextmanager
def started(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    port = free_port()
    command = [sys.executable, "-m", "service", *words, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(400):
            assert process.poll() is None, process.communicate()
            try:
                httpx.get(f"{url}/fhir/metadata")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url, process
    finally:
        process.kill()
        process.communicate()


def test_ehr_simulator_serves_a_folder_and_stops(tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "id": "p1"}
    (tmp_path / "a.ndjson").write_text(json.dumps(patient) + "\n\n" + json.dumps(patient | {"id": "p2"}) + "\n")
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient | {"id": "p3"}}]}
    (tmp_path / "b.json").write_text(json.dumps(bundle))
    with started("ehr-simulator", "--profile", "hostile", "--data", str(tmp_path), "--token") as (url, process):
        assert httpx.get(f"{url}/fhir/Patient/p1").status_code == 401
        stored = httpx.get(f"{url}/control/resources").json()
        assert [each["id"] for each in stored] == ["p1", "p2", "p3", "poison-bare", "poison-date"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in (0, -signal.SIGTERM)


def test_registry_simulator_serves_and_writes(tmp_path: Path) -> None:
    with started("registry-simulator", "--directory", str(tmp_path)) as (url, _):
        entry = [{"resource": {"resourceType": "Patient", "meta": {"security": [{"code": "rc_10001"}]}}}]
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": entry}
        assert httpx.post(f"{url}/fhir", json=bundle).status_code == 200
    (written,) = tmp_path.glob("*.json")
    assert json.loads(written.read_text()) == bundle


@pytest.mark.parametrize(
    "words", [("--profile", "kind"), ("--data", "{folder}"), ("--host", "203.0.113.9")], ids=lambda words: words[0]
)
def test_what_cannot_be_started_is_a_plain_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "service", "ehr-simulator", "--port", str(free_port())]
    command += [word.format(folder=tmp_path) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("cart-fhir: ")
    assert len(done.stderr.splitlines()) == 1
