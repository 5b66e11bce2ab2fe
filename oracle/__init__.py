"""HL7's own validation engine as the oracle of ours: `make oracle`. See docs/oracle.md."""
