"""What validation costs: decoding and checking everything, beside the parsing of fhir.resources alone."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.observation import Observation

from bench import resources
from bench.report import Report
from service.conformance import definitions
from service.conformance.validator import Validator
from service.fhir.json import decode
from service.settings import shipped

ROUNDS = 300
FERRITIN = "Observation-example-crp-synthetic.json"


def measure(report: Report) -> None:
    """A laboratory result that claims a profile, a plain one, and a transaction of 200, each by both."""
    with TemporaryDirectory(prefix="cart-fhir-bench-") as folder:
        validator = Validator(definitions.load(Path(folder)))
    profiled = (shipped("fhir_profiles", "fsh-generated", "resources") / FERRITIN).read_bytes()
    plain = json.dumps(resources.observation(1)).encode()
    bundle = resources.transaction(0, 200)
    cases = (
        ("Observation with a profile", profiled, Observation, ROUNDS),
        ("Observation", plain, Observation, ROUNDS),
        ("transaction of 200", bundle, Bundle, 20),
    )
    for what, body, model, rounds in cases:
        ours = _median(partial(_checked, validator, body), rounds)
        theirs = _median(partial(model.model_validate_json, body), rounds)
        ratio = f"{ours / theirs:.2f} of the parsing of fhir.resources ({theirs:,.0f})"
        report.fact(f"decoded and validated: {what}, µs", f"{ours:,.0f}", ratio)


def _checked(validator: Validator, body: bytes) -> None:
    found = validator.errors(decode(body))  # as a write does; warnings are for those who ask
    if found:
        raise SystemExit(f"{found[0].expression}: {found[0].text}")


def _median(work: Callable[[], object], rounds: int) -> float:
    """Microseconds; the first calls compile."""
    for _ in range(5):
        work()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e6
