"""HL7's validation engine: built with Maven when its sources change, fed with lines.

Its verdicts are kept in `target/`: a case asked before with the same engine and definitions is not asked again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oracle.cases import Case

HERE = Path(__file__).parent
TARGET = HERE / "target"
_SOURCES = (HERE / "pom.xml", *sorted((HERE / "src").rglob("*.java")))
_KEPT = TARGET / "verdicts.ndjson"
# Without the second, a failure that comes often has no place to name.
_JAVA = ("-Xmx2g", "-XX:-OmitStackTraceInFastThrow")


@dataclass(frozen=True)
class Message:
    """One finding of the engine; `id` is its message id, or `canonical#key` of an invariant."""

    severity: str
    location: str
    id: str
    text: str

    @property
    def is_error(self) -> bool:
        """Whether it makes the resource invalid."""
        return self.severity in ("error", "fatal")


def missing() -> str | None:
    """The tool that is not on this machine, if any."""
    return next((tool for tool in ("java", "mvn") if shutil.which(tool) is None), None)


def build() -> str:
    """Compile where the sources are newer than the classes; the class path."""
    listed = TARGET / "classpath"
    newest = max(path.stat().st_mtime for path in _SOURCES)
    if not listed.is_file() or listed.stat().st_mtime < newest:
        subprocess.run(["mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(HERE / "pom.xml"), "compile"], check=True)
        listed.touch()
    return os.pathsep.join((str(TARGET / "classes"), listed.read_text().strip()))


def verdicts(cases: Iterable[Case], definitions: Path) -> dict[str, list[Message]]:
    """The engine's messages by the id of the case. Raises RuntimeError when the engine stops early."""
    stand = _stand(definitions)
    keys = {case.id: hashlib.blake2b(stand + case.line(), digest_size=16).hexdigest() for case in cases}
    kept = _read()
    asked = [case for case in cases if keys[case.id] not in kept]
    if asked:
        answers = [line["messages"] for line in lines("oracle.Oracle", str(definitions), cases=asked)]
        if len(answers) != len(asked):
            raise RuntimeError(f"the engine answered {len(answers)} of {len(asked)} cases")
        with _KEPT.open("a") as file:
            for case, messages in zip(asked, answers, strict=True):
                kept[keys[case.id]] = messages
                file.write(json.dumps({"key": keys[case.id], "messages": messages}) + "\n")
    return {name: [_message(message) for message in kept[key]] for name, key in keys.items()}


def lines(program: str, *arguments: str, cases: Iterable[Case] = ()) -> Iterator[dict[str, Any]]:
    """What a program of `src/` prints, line by line, when it gets these cases; its log is `target/engine.log`."""
    command = ["nice", "-n", "10", "java", *_JAVA, "-cp", build(), program, *arguments]
    with tempfile.TemporaryFile() as asked, (TARGET / "engine.log").open("w") as log:
        asked.writelines(case.line() + b"\n" for case in cases)
        asked.seek(0)
        with subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE, stderr=log) as process:
            yield from map(json.loads, process.stdout or ())


def _stand(definitions: Path) -> bytes:
    digest = hashlib.blake2b()
    for path in (HERE / "pom.xml", HERE / "src/main/java/oracle/Oracle.java", *sorted(definitions.glob("*.json"))):
        digest.update(path.read_bytes())
    return digest.digest()


def _read() -> dict[str, list[dict[str, str]]]:
    if not _KEPT.is_file():
        return {}
    with _KEPT.open() as file:
        return {line["key"]: line["messages"] for line in map(json.loads, file)}


def _message(source: dict[str, str]) -> Message:
    location, name = source["location"] or "", source["messageId"] or ""
    return Message(source["severity"], location, name, source["text"] or "")
