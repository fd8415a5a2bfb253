"""The installation and the post office of the tests of outgoing mail."""

from tests.mail.conftest import installation, logged, post

__all__ = ["installation", "logged", "post"]
