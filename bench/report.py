"""The lines of a run, each printed as soon as it is known: what, clients, rate, percentiles, beside what."""

from __future__ import annotations

from bench.client import Load

HEAD = ("what", "clients", "per second", "p50 ms", "p95 ms", "p99 ms", "beside the yardstick")
FORM = "{:<62} {:>7} {:>10} {:>8} {:>8} {:>8}  {}"


class Report:
    """Prints a head, then a line for each `load` and each `fact`."""

    def __init__(self) -> None:
        self._print(*HEAD)

    def load(self, what: str, clients: int, result: Load, ratio: str = "", times: int = 1) -> None:
        """A rate (`times` resources in each request) with its percentiles. Only 200 and 201 count as done."""
        if not set(result.statuses) <= {200, 201}:
            raise SystemExit(f"{what}: expected only 200 and 201, got {result.statuses}")
        shares = [f"{result.percentile(share):.1f}" for share in (0.5, 0.95, 0.99)]
        self._print(what, str(clients), f"{result.rate * times:,.0f}", *shares, ratio)

    def fact(self, what: str, value: str, ratio: str = "") -> None:
        """One figure, such as seconds or megabytes."""
        self._print(what, "", value, "", "", "", ratio)

    def _print(self, *cells: str) -> None:
        print(FORM.format(*cells).rstrip(), flush=True)
