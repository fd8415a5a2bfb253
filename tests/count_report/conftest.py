"""One letter, people and organizations on it."""

from tests.count_log.conftest import logged

__all__ = ["logged"]
