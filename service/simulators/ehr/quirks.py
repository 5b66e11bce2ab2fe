"""What real hospital servers do otherwise than one hopes, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from service.simulators.wire import Refusal

Transactions = Literal["works", "fails", "absent"]


@dataclass(frozen=True, slots=True)
class Quirks:
    """Everything is off at first. A field `…_every` of n strikes each n-th request (or write); 0 is never."""

    default_count: int = 50
    """Entries of a page where `_count` is not sent."""
    most_count: int | None = None
    """A larger `_count` is cut down to this without a word."""
    descending: bool = False
    """Searches show the newest first."""
    ignores_sort: bool = False
    """`_sort` changes nothing."""
    ignores_last_updated: bool = False
    """`_lastUpdated` changes nothing; the `self` link leaves it out."""
    refuses_unknown_parameters: bool = False
    """A search parameter that the server does not have is 400, where it is passed over else."""
    requires: Mapping[str, tuple[str, ...]] | None = None
    """For a type: a search without one of these parameters (or `_id`) is 400 with an OperationOutcome."""
    live_paging: bool = False
    """A `next` link counts from the start of what matches when it is followed: what is filed meanwhile shifts pages."""
    empty_pages: bool = False
    """Before each further page comes an empty one that carries `next`."""
    repeats_entries: bool = False
    """Each further page begins with the last entry of the page before."""
    omits_total: bool = False
    """A searchset has no `total`."""
    informs: bool = False
    """Each page of a searchset carries an OperationOutcome that only informs."""
    withholds: tuple[str, ...] = ()
    """References whose place in a searchset is taken by an OperationOutcome that says something was omitted."""
    one_instant_per_import: bool = False
    """Everything that is stored by one request has one `lastUpdated`; else each resource has its own."""
    future_every: int = 0
    """Each n-th resource written is dated a year ahead."""
    conflict_status: int = 412
    """The answer to an If-Match that is not the version of now: 412, or 409."""
    ignores_if_none_exist: bool = False
    """A conditional create always creates."""
    refuses_client_ids: bool = False
    """A PUT to an id that is not there is 405, where it creates else."""
    drops: Mapping[str, tuple[str, ...]] | None = None
    """Elements that are left out when a resource is stored, by type; those of `*` for every type."""
    empty_bodies: bool = False
    """Writes are answered without a body."""
    touches_writes: bool = False
    """A background job rewrites each resource that is written: a tag of its own, a further version."""
    hides_deleted: bool = False
    """A deleted resource reads as 404, never 410; only `_history` tells of it."""
    transactions: Transactions = "works"
    """`fails`: promised by the capability statement, answered with 500; `absent`: neither promised nor done."""
    poison: bool = False
    """Resources that R4 forbids are stored: an Observation without status and code, one with a date that is none."""
    token_seconds: int = 300
    """Life of an access token."""
    unauthorized_every: int = 0
    """The token of the request, where it has one, is revoked, and the request answered with 401."""
    throttles_every: int = 0
    """429 and 503 in turn, with Retry-After."""
    retry_after: int = 1
    """Seconds of Retry-After."""
    retry_after_form: Literal["seconds", "date", "both"] = "seconds"
    """Retry-After as a number, as an HTTP date, or as each in turn."""
    slow_every: int = 0
    """The answer is held back for `slow_seconds`."""
    slow_seconds: float = 0.2
    """See `slow_every`."""
    truncates_every: int = 0
    """The request is done, and its answer is JSON that ends too early."""
    wrong_answer_every: int = 0
    """The request is done, and its answer is 200 with a web page, and with a resource of another type, in turn."""

    def changed(self, changes: Mapping[str, Any]) -> Quirks:
        """These quirks with `changes`, as JSON has them. Raises Refusal where there is no such quirk."""
        profile = PROFILES.get(changes.get("profile", ""), self)
        values = {name: value for name, value in changes.items() if name != "profile"}
        unknown = set(values) - {field.name for field in fields(Quirks)}
        if unknown or ("profile" in changes and changes["profile"] not in PROFILES):
            raise Refusal(400, "value", f"There is no quirk {sorted(unknown) or changes['profile']}")
        if values.get("transactions", "works") not in get_args(Transactions):
            raise Refusal(400, "value", f"The quirk transactions is one of {get_args(Transactions)}")
        return replace(profile, **{name: tuple(v) if name == "withholds" else v for name, v in values.items()})


PLAIN = Quirks()

# Without `withholds`: a gap never closes by itself, so no one could ever be done. The counts have no common factor.
HOSTILE = Quirks(
    default_count=10,
    most_count=20,
    descending=True,
    ignores_sort=True,
    ignores_last_updated=True,
    refuses_unknown_parameters=True,
    requires={"Observation": ("category", "code")},
    live_paging=True,
    empty_pages=True,
    repeats_entries=True,
    omits_total=True,
    informs=True,
    one_instant_per_import=True,
    future_every=5,
    conflict_status=409,
    ignores_if_none_exist=True,
    refuses_client_ids=True,
    drops={"*": ("text",), "Observation": ("note", "method", "derivedFrom"), "DiagnosticReport": ("conclusion",)},
    empty_bodies=True,
    touches_writes=True,
    hides_deleted=True,
    transactions="fails",
    poison=True,
    unauthorized_every=29,
    throttles_every=13,
    retry_after_form="both",
    slow_every=17,
    truncates_every=19,
    wrong_answer_every=23,
)

PROFILES = {"plain": PLAIN, "hostile": HOSTILE}
