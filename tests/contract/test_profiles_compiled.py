"""The compiled profiles in the repository are those that the sources give, and a broken source changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
    for name in ("build.py", "sushi-config.yaml", "package-lock.json"):
        shutil.copy(PROFILES / name, project / name)
    for name in ("packages", "node_modules", ".build"):
        (project / name).symlink_to(PROFILES / name)
    (project / "input" / "fsh" / "broken.fsh").write_text(BROKEN, encoding="utf-8")
    (output / "Patient-kept.json").write_text("{}", encoding="utf-8")
    done = build(project, output)
    assert done.returncode == 1
    assert "nosuchelement" in done.stdout + done.stderr
    assert [path.name for path in output.iterdir()] == ["Patient-kept.json"]
