"""Imports, tallies, exports and addresses at the desk."""
