"""Servers to measure, each a process of its own on a free port of loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes], path: str) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the server did not come up")


@contextmanager
def service(folder: Path, url: str) -> Iterator[tuple[int, subprocess.Popen[bytes], float]]:
    """The service on an empty, migrated database: its port, its process, seconds to ready."""
    port = free_port()
    environment = os.environ | {
        "CART_FHIR_PORT": str(port),
        "CART_FHIR_DATA_DIR": str(folder),
        "CART_FHIR_DATABASE_URL": url,
    }
    subprocess.run([sys.executable, "-m", "service", "migrate"], env=environment, check=True, capture_output=True)
    started = time.perf_counter()
    with _running([sys.executable, "-m", "service", "serve"], environment) as process:
        _wait(port, process, "/health/ready")
        yield port, process, time.perf_counter() - started


@contextmanager
def bare_route(body: bytes) -> Iterator[int]:
    """The yardstick of reads: a FastAPI route that returns the same bytes and nothing else."""
    port = free_port()
    environment = os.environ | {"BENCH_BODY": body.decode(), "BENCH_PORT": str(port)}
    with _running([sys.executable, "-m", "bench.bare"], environment) as process:
        _wait(port, process, "/fhir/Observation/1")
        yield port


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
