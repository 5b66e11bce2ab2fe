"""The command line as a user meets it: a new process, its exit code, what it prints."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.settings import shipped

SECONDS = 60


def command(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CART_FHIR_DATA_DIR": str(folder / "data")} | variables
    return subprocess.run(
        [sys.executable, "-m", "service", *words], env=environment, capture_output=True, text=True, timeout=SECONDS
    )


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def assert_plain(done: subprocess.CompletedProcess[str], word: str) -> None:
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("cart-fhir: ")
    assert word in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("LOG_LEVEL", "LOUD"),
        ("MAX_BODY_BYTES", "-1"),
        ("DATABASE_URL", "mysql://x"),
    ],
)
def test_serve_with_a_bad_setting_names_it(tmp_path: Path, name: str, value: str) -> None:
    assert_plain(command(tmp_path, "serve", **{f"CART_FHIR_{name}": value}), f"CART_FHIR_{name}")


def test_serve_without_migration_says_what_to_do(tmp_path: Path) -> None:
    assert_plain(command(tmp_path, "serve"), "cart-fhir migrate")


def test_serve_on_a_taken_port_says_so(tmp_path: Path, taken: int) -> None:
    assert command(tmp_path, "migrate").returncode == 0
    assert_plain(command(tmp_path, "serve", "--port", str(taken)), f"127.0.0.1:{taken}")
    assert_plain(command(tmp_path, "demo", "--port", str(taken)), f"127.0.0.1:{taken}")


def test_migrate_into_a_place_that_cannot_be_a_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert_plain(command(tmp_path, "migrate"), "data folder")


def test_database_that_does_not_answer_is_a_plain_message(tmp_path: Path) -> None:
    done = command(tmp_path, "migrate", CART_FHIR_DATABASE_URL="postgresql://somebody:secret@127.0.0.1:1/x")
    assert_plain(done, "database")
    assert "secret" not in done.stderr


def test_doctor_tells_before_and_after_migration(tmp_path: Path) -> None:
    before = command(tmp_path, "doctor", CART_FHIR_PORT="1")
    assert before.returncode == 1
    assert "cart-fhir migrate" in before.stdout
    command(tmp_path, "migrate")
    after = command(tmp_path, "doctor")
    assert "Writing: a write was taken and rolled back" in after.stdout


def test_import_check_writes_nothing_and_import_twice_writes_once(tmp_path: Path) -> None:
    command(tmp_path, "migrate")
    folder = str(shipped("mappings", "isikok-19"))
    checked, first, second = (command(tmp_path, "import", folder, *more) for more in (["--check"], [], []))
    assert [done.returncode for done in (checked, first, second)] == [0, 0, 0], first.stderr
    assert "would be created" in checked.stdout
    assert " 0 were created" not in first.stdout
    assert " 0 were created, 0 updated" in second.stdout


def test_import_of_no_folder_says_so(tmp_path: Path) -> None:
    assert_plain(command(tmp_path, "import", str(tmp_path / "nothing")), "not a folder")


def test_demo_serves_and_stops_when_told(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"CART_FHIR_DATA_DIR": str(tmp_path), "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "demo"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/fhir/Patient?_summary=count")
                break
            except httpx.ConnectError:
                time.sleep(0.2)
        assert answer.json()["total"] > 0
    finally:
        process.send_signal(signal.SIGTERM)
        printed, logged = process.communicate(timeout=SECONDS)
    assert f"http://localhost:{port}/docs" in printed.decode()
    assert "Traceback" not in logged.decode()


def test_explain_leads_to_the_cell(tmp_path: Path) -> None:
    golden = Path(__file__).parents[1] / "golden"
    text = next(
        line for file in sorted(golden.rglob("labs*.json")) for line in file.read_text().splitlines() if '"id"' in line
    )
    reference = f"Observation/{text.split(chr(34))[3]}"
    done = command(tmp_path, "explain", reference, "valueQuantity.value")
    assert done.returncode == 0, done.stderr
    assert "labs.csv, row " in done.stdout
    assert_plain(command(tmp_path, "explain", "Observation/none"), "Observation/none")


def test_export_gives_the_rows_back(tmp_path: Path) -> None:
    folder = shipped("mappings", "isikok-19")
    assert command(tmp_path, "migrate").returncode == 0
    assert command(tmp_path, "import", str(folder)).returncode == 0
    done = command(tmp_path, "export-rows", str(tmp_path / "rows"))
    assert done.returncode == 0, done.stderr
    for name in ("patients", "labs", "responses"):
        written = (tmp_path / "rows" / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        sent = (folder / "data" / f"{name}.csv").read_text(encoding="utf-8-sig").splitlines()
        assert written[0] == sent[0]
        assert sorted(written) == sorted(sent)
    assert_plain(command(tmp_path, "export-rows", str(tmp_path / "rows")), "exists already")
