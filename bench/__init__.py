"""Rates of the service beside their yardsticks, measured in one run on one machine."""
