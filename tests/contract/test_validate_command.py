"""`cart-fhir validate`: files as the server would judge them, with places, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from service.cli import app
from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.settings import Settings, shipped
from service.validating import Checker, Count, Item, as_text, judge_all, report

LABORATORY = "https://cart-fhir.example/fhir/StructureDefinition/laboratory-result"
EXAMPLES = shipped("fhir_profiles", "fsh-generated", "resources")
VALID = {"resourceType": "Patient", "gender": "male"}
INVALID = {"resourceType": "Patient", "gender": "none of these"}
XML = '<?xml version="1.0"?>\n<Patient xmlns="http://hl7.org/fhir">\n  <gender value="%s"/>\n</Patient>\n'
LINE = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): (?P<severity>\w+) (?P<element>\S+): (?P<text>.*)")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder, so that the definitions are compiled once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def checker(definitions: Definitions) -> Checker:
    return Checker(Settings(), definitions)


def validate(data: Path, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "CART_FHIR_DATA_DIR": str(data),
        "CART_FHIR_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x",
    }
    command = [sys.executable, "-m", "service", "validate", *words]
    return subprocess.run(command, env=environment, input=text, capture_output=True, text=True, timeout=60)


def judged(checker: Checker, *names: Path) -> tuple[list[str], Count, list[str]]:
    """Lines of the report, what was counted, complaints: without a process."""
    count, complaints = Count(), []
    lines = [
        line
        for one in judge_all(checker, map(str, names), count, complaints.append)
        for line in report(one, "text", False)
    ]
    return lines, count, complaints


def write(path: Path, *resources: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in resources))
    return path


def test_exit_code_and_summary_say_what_was_found(tmp_path: Path, data: Path) -> None:
    good, bad = write(tmp_path / "good.json", VALID), write(tmp_path / "bad.json", INVALID)
    wrong = validate(data, str(good), str(bad))
    assert wrong.returncode == 1
    found, summary = wrong.stdout.splitlines()
    match = LINE.match(found)
    assert match is not None
    assert match["file"] == str(bad)
    assert (match["severity"], match["element"]) == ("error", "Patient.gender")
    assert "[binding-required] http://hl7.org/fhir/StructureDefinition/Patient|4.0.1" in found
    assert "none of these" not in found
    assert summary == "2 resources: 1 valid, 1 invalid; 1 errors, 0 warnings"
    missing = validate(data, str(tmp_path / "nothing.json"), str(bad))
    assert missing.returncode == 2
    assert missing.stderr.startswith(f"cart-fhir: {tmp_path / 'nothing.json'} cannot be read")
    assert "1 invalid" in missing.stdout


def test_profile_that_is_not_known_is_said_at_once(tmp_path: Path, data: Path) -> None:
    done = validate(data, str(write(tmp_path / "a.json", VALID)), "--profile", "https://nowhere.example/x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "https://nowhere.example/x" in done.stderr


def test_standard_input_is_lines(data: Path) -> None:
    lines = validate(data, "-", "--quiet", text=f"\n{json.dumps(VALID)}\n\n{json.dumps(INVALID)}\n")
    assert (lines.returncode, lines.stdout.split(":")[:2]) == (1, ["(stdin)", "4"])
    assert len(lines.stdout.splitlines()) == 1
    done = validate(data, "-", "--quiet", text=json.dumps(VALID))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_file_whose_name_does_not_tell_is_known_by_its_start(tmp_path: Path, checker: Checker) -> None:
    contents = {
        "lines": f"\n{json.dumps(INVALID)}\n{json.dumps(INVALID)}\n",
        "document": json.dumps(INVALID, indent=1),
        "xml": "\ufeff" + XML % "x",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    found = {name: judged(checker, tmp_path / name) for name in contents}
    assert {name: count.invalid for name, (_, count, _) in found.items()} == {"lines": 2, "document": 1, "xml": 1}
    assert {name: lines[-1].split(":")[1] for name, (lines, _, _) in found.items()} == {
        "lines": "3",
        "document": "3",
        "xml": "3",
    }


def test_json_report_is_an_outcome_a_line(
    tmp_path: Path, data: Path, definitions: Definitions, checker: Checker
) -> None:
    file = write(tmp_path / "a.ndjson", VALID, INVALID)
    done = validate(data, str(file), "--format", "json")
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert done.stderr.strip() == "2 resources: 1 valid, 1 invalid; 1 errors, 0 warnings"
    assert [[issue["severity"] for issue in one["issue"]] for one in outcomes] == [["information"], ["error"]]
    assert [one["issue"][0]["location"][0].split(":")[:2] for one in outcomes] == [[str(file), "1"], [str(file), "2"]]
    for outcome in outcomes:
        assert [one for one in Validator(definitions).check(outcome) if one.severity == "error"] == []
    quiet = [
        line
        for one in judge_all(checker, [str(file)], Count(), pytest.fail)
        for line in report(one, "json", errors_only=True)
    ]
    assert quiet == done.stdout.splitlines()[1:]


def test_profiles_that_are_asked_for_count(tmp_path: Path, checker: Checker, definitions: Definitions) -> None:
    file = write(tmp_path / "a.json", {"resourceType": "Observation", "status": "final", "code": {"text": "x"}})
    assert judged(checker, file)[1].exit_code == 0
    asked = Checker(Settings(), definitions, (LABORATORY, "http://hl7.org/fhir/StructureDefinition/vitalsigns"))
    lines, count, _ = judged(asked, file)
    assert count.exit_code == 1
    assert any(LABORATORY in line for line in lines)
    assert any("vitalsigns" in line for line in lines)


def test_folder_is_read_in_order_with_all_that_is_below(tmp_path: Path, checker: Checker) -> None:
    (tmp_path / "b").mkdir()
    write(tmp_path / "b" / "two.ndjson", VALID, INVALID)
    (tmp_path / "a.xml").write_text(XML % "x")
    (tmp_path / "notes.txt").write_text("not looked at")
    lines, count, complaints = judged(checker, tmp_path)
    places = [tuple(LINE.match(line).group("file", "line", "column")) for line in lines]  # type: ignore[union-attr]
    assert places == [(str(tmp_path / "a.xml"), "3", "3"), (str(tmp_path / "b" / "two.ndjson"), "2", "29")]
    assert (count.resources, count.invalid, count.exit_code, complaints) == (3, 2, 1, [])
    (tmp_path / "empty").mkdir()
    _, count, complaints = judged(checker, tmp_path / "empty", tmp_path / "a.xml")
    assert (count.exit_code, len(complaints), count.resources) == (2, 1, 1)


def test_what_is_no_resource_is_invalid_where_it_stands(tmp_path: Path, checker: Checker) -> None:
    file = tmp_path / "x.ndjson"
    file.write_bytes(
        b'{"resourceType":"Patient"}\n{"a": \n\xff\xfe\n[1]\n{"resourceType":"Patient","resourceType":"x"}'
    )
    lines, count, _ = judged(checker, file)
    found = [LINE.match(line) for line in lines]
    assert [(one["line"], one["severity"]) for one in found if one] == [(str(n), "error") for n in (2, 3, 4, 5)]
    assert (count.resources, count.invalid) == (5, 4)
    for name, content in (("x.xml", b"<Patient/>"), ("y.xml", b"<Patient"), ("z.json", b""), ("noname", b"%")):
        (tmp_path / name).write_bytes(content)
        assert judged(checker, tmp_path / name)[1].invalid == 1


def test_bundle_is_judged_entry_by_entry_as_the_server_does(tmp_path: Path, checker: Checker) -> None:
    entries = [
        {"resource": VALID | {"id": "a b"}, "request": {"method": "POST", "url": "Patient"}},
        {"resource": INVALID, "request": {"method": "POST", "url": "Patient"}},
        {"resource": VALID, "request": {"method": "POST", "url": "Observation"}},
        {"request": {"method": "GET", "url": "Patient?nothing"}},
        {"request": {"method": "DELETE", "url": "Patient?nothing=1"}},
        {"resource": VALID},
    ]
    file = tmp_path / "t.json"
    file.write_text(json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}, indent=1))
    lines, count, _ = judged(checker, file)
    elements = {match["element"].split(".resource")[0] for line in lines if (match := LINE.match(line))}
    assert elements >= {f"Bundle.entry[{n}]" for n in (1,)} | {"Bundle.entry[4].request.url", "Bundle.entry[5].request"}
    assert not any("entry[0]" in line or "entry[3]" in line for line in lines)
    assert any("Bundle.entry[2].resource.resourceType" in line for line in lines)
    assert count.resources == 1
    text = file.read_text().splitlines()
    gender = next(LINE.match(line) for line in lines if "entry[1].resource.gender" in line)
    assert gender is not None
    assert '"gender": "none of these"' in text[int(gender["line"]) - 1]


def test_our_own_examples_are_valid(checker: Checker) -> None:
    lines, count, _ = judged(checker, *sorted(EXAMPLES.glob("*-example-*.json")))
    assert (count.invalid, count.unread) == (0, 0), lines
    assert count.resources > 30


def test_memory_does_not_grow_with_the_lines_of_a_file(tmp_path: Path, checker: Checker) -> None:
    line = json.dumps(INVALID | {"text": {"status": "generated", "div": "x" * 20_000}}) + "\n"
    file = tmp_path / "large.ndjson"
    with file.open("w") as stream:
        stream.writelines(line for _ in range(2_000))
    assert file.stat().st_size > 40_000_000
    count = Count()
    every = judge_all(checker, [str(file)], count, pytest.fail)
    for _ in range(100):
        next(every)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in every) == 1_900
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # in KiB
    assert grown < 8_000
    assert count.invalid == 2_000


def test_terminal_is_never_commanded(checker: Checker) -> None:
    body = json.dumps({"resourceType": "Patient", "\x1b[31m": 1}).encode()
    lines = list(report(checker.judge(Item("a\x1b[2Jb", 1, body)), "text", False))
    assert lines
    assert not any(ord(letter) < 32 for line in lines for letter in line)
    assert as_text("a\x9b\ud800b") == "a??b"


def test_commands_and_their_page_say_the_same() -> None:
    page = (Path(__file__).parents[2] / "docs" / "start.md").read_text()
    described = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `cart-fhir ")}
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert {line.split()[1] for line in described} == set(commands)
    (line,) = (line for line in described if line.startswith("cart-fhir validate "))
    options = {option for one in commands["validate"].params for option in one.opts if option.startswith("--")}
    assert set(re.findall(r"--[a-z]+", line)) == options
