"""Faults with a state: who is told what, when, and that it is over."""
