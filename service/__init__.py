"""cart-fhir: a FHIR R4 interoperability service for the ISIKOK-19 CAR-T trial."""

__version__ = "0.1.0"
