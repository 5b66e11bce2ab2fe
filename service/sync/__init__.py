"""Synchronisation with hospitals: what is pulled, what is pushed, and who stands for whom on the other side."""
