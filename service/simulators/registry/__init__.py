"""A registry in memory that takes messages and bundles, and gives receipts."""

from service.simulators.registry.behaviour import Behaviour
from service.simulators.registry.received import Received, payload_hash, receipt_id
from service.simulators.registry.server import Registry

__all__ = ["Behaviour", "Received", "Registry", "payload_hash", "receipt_id"]
