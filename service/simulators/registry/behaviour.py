"""How the registry behaves, as data; that it is down or loses an answer is ordered by `Counterpart.down`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from service.simulators.wire import Refusal


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A registry that takes what is well formed and answers at once, unless a field says otherwise."""

    events: tuple[str, ...] = ()
    """Codes of eventCoding, or eventUri, that it knows; any where there are none."""
    requires: tuple[str, ...] = ()
    """Types of which a message must carry a resource each."""
    rejects: bool = False
    """Every message and bundle is refused with 422; nothing but the attempt is kept."""
    rejection: str = "The form is not complete"
    """Text of the refusal."""
    rejected_at: str = "Bundle.entry[1].resource"
    """FHIRPath expression of the refusal."""
    queries: bool = False
    """What is taken is answered with a warning that asks for an answer."""
    always_async: bool = False
    """202 and polling, whether `Prefer: respond-async` was sent or not."""
    polls: int = 1
    """How many polls of a status address are answered with 202 before the result."""
    slow_seconds: float = 0.0
    """Each answer is held back for so long."""
    most_observations: int = 50
    """A bundle that is posted to the base may have no more Observations."""
    centre_pattern: str = r"rc_\d{5}"
    """Each resource of a bundle that is posted to the base has a `meta.security` code like this; "" asks for none."""

    def changed(self, changes: Mapping[str, Any]) -> Behaviour:
        """This with `changes`, as JSON has them. Raises Refusal where there is no such field."""
        unknown = set(changes) - {field.name for field in fields(Behaviour)}
        if unknown:
            raise Refusal(400, "value", f"There is no field {sorted(unknown)}")
        return replace(self, **{name: tuple(v) if isinstance(v, list) else v for name, v in changes.items()})
