"""Open letters and petitions that people can trust with their name."""
