"""The moderators' bench, for partners whose counts follow their decisions."""

from tests.moderation.conftest import bench, database, letter

__all__ = ["bench", "database", "letter"]
