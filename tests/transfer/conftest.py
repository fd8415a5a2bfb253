"""A published letter with whatever stands on it, without the web and with it."""

from tests.moderation.conftest import bench, database, letter

__all__ = ["bench", "database", "letter"]
