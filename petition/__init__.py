"""Open letters and petitions that people can trust with their name."""

__version__ = "0.1.0"
