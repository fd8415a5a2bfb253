"""Repeated warnings: the first at once, the others counted."""

import logging

import pytest

from petition.core import log_summaries
from petition.core.log_summaries import LogSummary

LOG = logging.getLogger("petition.summaries")


def test_the_first_is_logged_at_once_and_the_others_as_a_number(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = LogSummary(LOG, "put off")
    for code in (451, 451, 554, 451):
        summary.note(code=code)
    summary.flush()
    assert [vars(record)["code"] for record in caplog.records] == [451, 554]
    monkeypatch.setattr(log_summaries, "INTERVAL", 0.0)
    summary.flush()
    summary.flush()
    assert [(vars(record)["code"], vars(record)["count"]) for record in caplog.records] == [
        (451, 1),
        (554, 1),
        (451, 2),
    ]
