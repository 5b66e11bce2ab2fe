"""The trial's tables and rates, computed from the stored resources, beside what the paper published."""
