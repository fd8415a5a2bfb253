"""Fixtures of the desk's tests."""

from tests.web.desk.test_refusals import world

__all__ = ["world"]
