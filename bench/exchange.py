"""Pulling from a hospital that is not the bottleneck, and forms populated and packaged, each by the served service."""

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


def call(port: int, method: str, path: str, body: Any = None) -> Any:
    """The JSON answer of the service."""
    content = json.dumps(body).encode() if body is not None else None
    headers = {"content-type": "application/json" if not path.startswith("/fhir") else "application/fhir+json"}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, headers, method=method)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None
