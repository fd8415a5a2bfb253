"""A whole installation under load and faults, judged from outside: ``make chaos``."""
