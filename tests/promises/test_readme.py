"""The README's commands, run as they stand against a service that holds the study."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import Settings
from tests.promises.live import free_port, serving

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def _run(block: str, port: int) -> str:
    command = block.replace("localhost:8000", f"127.0.0.1:{port}")
    done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_readme_transaction_runs_and_its_references_resolve(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    transaction, search = (block for block in BLOCKS if block.startswith("curl"))
    with serving(database_url, tmp_path, port=port):
        first = json.loads(_run(transaction, port))
        assert first["type"] == "transaction-response"
        assert [entry["response"]["status"][:3] for entry in first["entry"]] == ["201", "201"]
        again = json.loads(_run(transaction, port))
        assert [entry["response"]["status"][:3] for entry in again["entry"]] == ["200", "201"]
        assert again["entry"][0]["response"]["location"] == first["entry"][0]["response"]["location"]
        found = json.loads(_run(search, port))
        modes = sorted(entry["search"]["mode"] for entry in found["entry"])
        assert modes == ["include", "match", "match"]
        patient = next(e["resource"] for e in found["entry"] if e["search"]["mode"] == "include")
        for entry in found["entry"]:
            if entry["search"]["mode"] == "match":
                assert entry["resource"]["subject"]["reference"] == f"Patient/{patient['id']}"
        broken = json.loads(_run(transaction.replace('"final"', '"banana"'), port))
        assert broken["resourceType"] == "OperationOutcome"
        assert [issue["expression"] for issue in broken["issue"]] == [["Bundle.entry[1].resource.status"]]


def test_readme_import_runs(tmp_path: Path) -> None:
    (commands,) = (block for block in BLOCKS if block.startswith("cart-fhir import"))
    environment = os.environ | {"CART_FHIR_DATA_DIR": str(tmp_path), "CART_FHIR_DATABASE_URL": ""}
    service = [sys.executable, "-m", "service"]
    subprocess.run([*service, "migrate"], env=environment, check=True, capture_output=True)
    for line in commands.splitlines():
        arguments = line.partition("#")[0].split()[1:]
        done = subprocess.run([*service, *arguments], env=environment, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "cart-fhir.sqlite").exists()
    assert Settings(data_dir=tmp_path, database_url="").url().endswith("cart-fhir.sqlite")
