"""Compile input/fsh to JSON with snapshots, without a network: `python fhir_profiles/build.py [--output FOLDER]`.

FOLDER (default: fsh-generated/resources) then holds exactly the compiled resources; an error leaves it as it was.
Needs Node 18 or newer; npm fetches the locked SUSHI once. Exit code 1: an error in the sources, or no Node;
3: npm could not fetch SUSHI.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from error_codes import complete

HERE = Path(__file__).resolve().parent
WORK = HERE / ".build"
COMPILED = HERE / "fsh-generated" / "resources"
CORE = HERE / "packages" / "hl7.fhir.r4.core-4.0.1.tgz"
SUSHI = HERE / "node_modules" / "fsh-sushi" / "dist" / "app.js"
CLOSED = "http://127.0.0.1:9"  # the discard port: a look-up fails at once instead of waiting for a registry
NO_SUSHI = 3


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def alone() -> Iterator[None]:
    """Two builds at once prepare one after the other."""
    WORK.mkdir(exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install() -> None:
    """Fetch what the lock names, where it is not here or the lock has changed since."""
    lock, mark = digest(HERE / "package-lock.json"), HERE / "node_modules" / ".cart-fhir-lock"
    if SUSHI.is_file() and mark.is_file() and mark.read_text() == lock:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is missing: install Node 18 or newer")
    command = [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    if subprocess.run(command, cwd=HERE, check=False).returncode:
        print("npm could not fetch SUSHI.", file=sys.stderr)
        raise SystemExit(NO_SUSHI)
    mark.write_text(lock)


def unpack() -> Path:
    """The home folder whose package cache holds the R4 core definitions; a changed archive makes a new one."""
    home = WORK / f"home-{digest(CORE)[:12]}"
    if not home.is_dir():
        with tempfile.TemporaryDirectory(dir=WORK) as new:
            core = Path(new, "home", ".fhir", "packages", "hl7.fhir.r4.core#4.0.1")
            with tarfile.open(CORE) as archive:
                archive.extractall(core, filter="data")
            Path(new, "home").rename(home)
    return home


def offline(home: Path) -> dict[str, str]:
    """The environment of SUSHI: its package cache is under HOME; its look-ups (newer versions, terminology) fail."""
    return {
        **os.environ,
        "HOME": str(home),
        "USERPROFILE": str(home),
        "FPL_REGISTRY": CLOSED,
        "HTTPS_PROXY": CLOSED,
        "npm_config_registry": CLOSED,
        "npm_config_fetch_retries": "0",
        "npm_config_loglevel": "silent",
    }


def compile_into(folder: Path, home: Path) -> int:
    """Run SUSHI; its exit code is not 0 when it reports an error."""
    node = shutil.which("node")
    if node is None:
        raise SystemExit("node is missing: install Node 18 or newer")
    command = [node, str(SUSHI), "build", "--snapshot", "--log-level", "warn", "--out", str(folder), "."]
    return subprocess.run(command, cwd=HERE, env=offline(home), check=False).returncode


def tidy(folder: Path) -> None:
    """Take what SUSHI leaves for another publisher out of the ImplementationGuide: lists that are empty, a page."""
    for path in folder.glob("ImplementationGuide-*.json"):
        guide = json.loads(path.read_bytes())
        guide["definition"] = {"resource": guide["definition"]["resource"]}
        path.write_text(json.dumps(guide, indent=2, ensure_ascii=False), encoding="utf-8")


def replace(folder: Path, new: Path) -> int:
    """Make the JSON files of `folder` those of `new`; a file that says the same is not touched. How many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {path.name: path.read_bytes() for path in new.glob("*.json")}
    for path in folder.glob("*.json"):
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
    return len(files)


def main() -> int:
    """Install, compile, and replace the output when there was no error."""
    parser = argparse.ArgumentParser(description="Compile the FHIR profiles.")
    parser.add_argument("--output", type=Path, default=COMPILED, help="folder of the compiled resources")
    output = parser.parse_args().output.resolve()
    start = time.monotonic()
    with alone():
        install()
        home = unpack()
    with tempfile.TemporaryDirectory(dir=WORK) as new:
        code = compile_into(Path(new), home)
        if code:
            print("Nothing was written: the sources have errors.", file=sys.stderr)
            return 1
        resources = Path(new, "fsh-generated", "resources")
        complete(resources, CORE)
        tidy(resources)
        count = replace(output, resources)
    print(f"{count} resources in {time.monotonic() - start:.1f} s: {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
