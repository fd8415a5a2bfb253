"""Imports of signatories from files: dry run, adding, undoing."""
