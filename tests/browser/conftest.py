"""The service as a user starts it, and a browser that reports every host it is asked to reach."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
PATIENCE = 60  # seconds


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `cart-fhir demo` on a new folder."""
    port = _free_port()
    folder = tmp_path_factory.mktemp("demo")
    environment = os.environ | {"CART_FHIR_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "service", "demo", "--port", str(port)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        found = f"http://127.0.0.1:{port}"
        _await(found, process, folder / "log")
        yield found
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(PATIENCE * 10):
        if process.poll() is not None:
            break
        try:
            httpx.get(f"{address}/health/ready").raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    pytest.fail(f"the demo did not start: {log.read_text()}")


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Chromium; without one these tests are skipped unless CART_FHIR_REQUIRE names `browser`.

    One for each test: as long as Playwright is open its event loop runs, and an async test could not start its own.
    """
    if not CHROMIUM.exists() and "browser" not in os.environ.get("CART_FHIR_REQUIRE", ""):
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page that fails the test when it asked another host, or when a script or a file failed."""
    opened = browser.new_page(viewport={"width": 1280, "height": 1600})
    others: list[str] = []
    faults: list[str] = []
    inside = (address, "data:", "blob:")
    opened.on("request", lambda one: None if one.url.startswith(inside) else others.append(one.url))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    yield opened
    opened.close()
    assert others == []
    assert faults == []
