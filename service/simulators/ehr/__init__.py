"""A hospital's FHIR R4 server in memory, plain or with the quirks of real ones."""

from service.simulators.ehr.hospital import hospital, poison, result
from service.simulators.ehr.quirks import HOSTILE, PLAIN, PROFILES, Quirks
from service.simulators.ehr.server import Ehr

__all__ = ["HOSTILE", "PLAIN", "PROFILES", "Ehr", "Quirks", "hospital", "poison", "result"]
