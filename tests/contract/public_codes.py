"""Public codes that were each seen in a public source and may be emitted; any other thing gets a project code and text.

HL7's own code systems are not listed: the R4 package defines them.
"""

from __future__ import annotations

VERIFIED: dict[str, frozenset[str]] = {
    system: frozenset(codes.split())
    for system, codes in {
        "http://hl7.org/fhir/sid/icd-10": "C91.0 C83.3 C91.1 C82.9 U07.1",
        "http://hl7.org/fhir/sid/icd-10-cm": """
            D89.831 D89.832 D89.833 D89.834 D89.839 G92.00 G92.01 G92.02 G92.03 G92.04 G92.05""",
        "http://terminology.hl7.org/CodeSystem/icd-o-3": "9835/3 9836/3 9680/3 9823/3 9690/3",
        "http://snomed.info/sct": """
            91857003 109969005 92814006 118601006 109979007
            260873006 52101004 2667000
            367336001 108290001 425843001 425983008 77465005 14152002 47625008
            127034005 234646005 386661006 389087006 45007003
            438949009 419099009""",
        "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl": """
            C8644 C38155 C38014 C46089 C16039 C3063
            C41338 C41339 C41340 C41337 C48275
            C4870 C18058 C18213 C35571 C173526 C62222""",
        "http://terminology.hl7.org/CodeSystem/mdr": """
            10052015 10014625 10016288 10016558 10021097 10039906 10013951 10012373 10045152""",
        "http://loinc.org": """
            30525-0 59284-0
            2532-0 2276-4 1988-5 30522-7 26881-3
            718-7 751-8 26499-4 777-3 26515-7 6690-2 26464-8 2160-0 8116-6 8117-4 8310-5
            89247-1 89243-0 97509-4""",
        "http://www.whocc.no/atc": """
            L04AC07 H02AB02 H02AB04 L01CA02 L01FA01 L01FF01 L01EL01 L01AA09 L01BB05 L01AA01
            L01BC01 L01CB01 L01AA06 L01BC05 L01XA02 L01XA03 L01XA01 L01DB06 L01DB01""",
        "http://www.nlm.nih.gov/research/umls/rxnorm": """
            612865 6902 121191 1442981 134547 24698 3002 3041 4179 5657 12574 40048""",
        "http://unitsofmeasure.org": """
            1 % a mo d kg 10*6/kg 10*6 10*3/uL /uL U/L ng/mL mg/L mg/dL g/dL pg/mL Cel mL
            {copies}/{cell} {copies}/ug {score}""",
    }.items()
}
