"""What forging costs: ``make forge``."""
