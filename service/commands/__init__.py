"""The parts of the command line that have commands of their own; what they need is imported when they run."""
