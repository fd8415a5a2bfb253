"""Organizers: who may enter the desk, with what, and which letters are theirs."""
