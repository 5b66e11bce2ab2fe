"""The compiled profiles in the repository are those that the sources give, and a broken source changes nothing."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from service.web.guide import package

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ROOT / "fhir_profiles"
COMPILED = PROFILES / "fsh-generated" / "resources"
REQUIRED = "node" in os.environ.get("CART_FHIR_REQUIRE", "").replace(",", " ").split()
MISSING = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
NO_SUSHI = 3  # the exit code of build.py when npm cannot fetch SUSHI

pytestmark = [
    pytest.mark.skipif(bool(MISSING) and not REQUIRED, reason=f"needs {' and '.join(MISSING)} to compile the profiles"),
    pytest.mark.xdist_group("profiles"),
]
BROKEN = """Profile: Broken
Parent: Patient
Id: broken
* nosuchelement 1..1
"""


def build(project: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Run build.py of a copy of the project. Skips where SUSHI cannot be fetched and node is not required."""
    command = [sys.executable, str(project / "build.py"), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode == NO_SUSHI and not REQUIRED:
        pytest.skip("npm could not fetch SUSHI; see fhir_profiles/package-lock.json")
    return done


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the sources give; SUSHI and the package cache are in place afterwards."""
    output = tmp_path_factory.mktemp("compiled")
    done = build(PROFILES, output)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def test_build_gives_the_committed_resources(compiled: Path) -> None:
    new = {path.name: path.read_text(encoding="utf-8") for path in compiled.iterdir()}
    committed = {path.name: path.read_text(encoding="utf-8") for path in COMPILED.iterdir()}
    assert sorted(new) == sorted(committed), "the sources have changed: make profiles"
    differing = [name for name, text in new.items() if text != committed[name]]
    assert differing == [], "the sources have changed: make profiles"


@pytest.mark.usefixtures("compiled")
def test_build_with_an_error_leaves_the_output_as_it_was(tmp_path: Path) -> None:
    project, output = tmp_path / "project", tmp_path / "output"
    (project / "input" / "fsh").mkdir(parents=True)
    output.mkdir()
    for name in ("build.py", "error_codes.py", "sushi-config.yaml", "package-lock.json"):
        shutil.copy(PROFILES / name, project / name)
    for name in ("packages", "node_modules", ".build"):
        (project / name).symlink_to(PROFILES / name)
    (project / "input" / "fsh" / "broken.fsh").write_text(BROKEN, encoding="utf-8")
    (output / "Patient-kept.json").write_text("{}", encoding="utf-8")
    done = build(project, output)
    assert done.returncode == 1
    assert "nosuchelement" in done.stdout + done.stderr
    assert [path.name for path in output.iterdir()] == ["Patient-kept.json"]


DEPENDENT = """Profile: Stricter
Parent: TrialPatient
Id: stricter
* maritalStatus 0..0

Profile: OtherGrade
Parent: https://cart-fhir.example/fhir/StructureDefinition/toxicity-grade
Id: other-grade
* code = https://cart-fhir.example/fhir/CodeSystem/trial-concept#icans-grade

Instance: somebody
InstanceOf: Stricter
* meta.security = http://terminology.hl7.org/CodeSystem/v3-Confidentiality#R
* identifier[subject].value = "OTHER-001"
* gender = #female
* birthDate = "1990"
"""


def builder() -> ModuleType:
    """fhir_profiles/build.py as a module."""
    sys.path.insert(0, str(PROFILES))
    try:
        spec = importlib.util.spec_from_file_location("build_profiles", PROFILES / "build.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(PROFILES))


@pytest.mark.usefixtures("compiled")
def test_package_is_a_dependency_that_sushi_loads(tmp_path: Path) -> None:
    build = builder()
    cache = tmp_path / "home" / ".fhir" / "packages"
    cache.mkdir(parents=True)
    core = "hl7.fhir.r4.core#4.0.1"
    (cache / core).symlink_to(build.unpack() / ".fhir" / "packages" / core)
    name, version = (package.manifest()[key] for key in ("name", "version"))
    with tarfile.open(fileobj=io.BytesIO(package.archive().content)) as archive:
        archive.extractall(cache / f"{name}#{version}", filter="data")
    project = tmp_path / "project"
    (project / "input" / "fsh").mkdir(parents=True)
    (project / "input" / "fsh" / "dependent.fsh").write_text(DEPENDENT, encoding="utf-8")
    (project / "sushi-config.yaml").write_text(
        "id: example.dependent\ncanonical: https://dependent.example/fhir\nstatus: draft\nversion: 0.0.1\n"
        f"fhirVersion: 4.0.1\nFSHOnly: true\ndependencies:\n  {name}: {version}\n",
        encoding="utf-8",
    )
    command = ["node", str(build.SUSHI), "build", "--snapshot", "--out", str(tmp_path / "out"), str(project)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=build.offline(tmp_path / "home"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Loaded {name}#{version}" in done.stdout
    made = tmp_path / "out" / "fsh-generated" / "resources"
    assert {path.name for path in made.glob("*.json")} == {
        "StructureDefinition-stricter.json",
        "StructureDefinition-other-grade.json",
        "Patient-somebody.json",
    }
