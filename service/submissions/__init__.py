"""Registry submissions: when a report is due, how its form is filled from the record, and what leaves the house."""
