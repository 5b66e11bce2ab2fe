"""Value sets whose codes are told by a rule, where the terminology has no list: what a right code looks like.

Units, languages and media types are known to the terminology; currencies and time zones are checked by their form.
Source: ISO 4217 (three letters), https://data.iana.org/time-zones/theory.html#naming and
https://hl7.org/fhir/R4/capabilitystatement-definitions.html#CapabilityStatement.format
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_HL7 = "http://hl7.org/fhir/ValueSet/"
FORMAT = "CapabilityStatement.format"
# What Expression.language names in place of a value set: https://hl7.org/fhir/R4/metadatatypes.html#Expression
BCP_13 = "http://www.rfc-editor.org/bcp/bcp13.txt"
MEDIA_TYPES = _HL7 + "mimetypes"
SHORT_FORMATS = frozenset({"xml", "json", "ttl"})

# What a right code is, for the text of a finding.
SAYS = {
    MEDIA_TYPES: "a media type, such as application/pdf",
    _HL7 + "all-languages": "a language tag of BCP 47, such as tr or en-GB",
    _HL7 + "ucum-units": "a unit of UCUM, such as mg/dL or 10*3/uL",
}


@dataclass(frozen=True, slots=True)
class Form:
    """The codes of one system by their form."""

    system: str
    well_formed: Callable[[str], object]
    says: str


FORMS = {
    _HL7 + "currencies": Form(
        "urn:iso:std:iso:4217", re.compile(r"[A-Z]{3}").fullmatch, "a currency of ISO 4217, such as EUR"
    ),
    _HL7 + "timezones": Form(
        "https://www.iana.org/time-zones",
        re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,30}(?:/[A-Za-z0-9_+-]{1,30}){0,2}").fullmatch,
        "a time zone, such as Europe/Istanbul",
    ),
}
