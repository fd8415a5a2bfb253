"""Logs say what happened and never to whom."""

import asyncio
import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from petition.core import logs
from petition.core.errors import SettingsError

ADDRESS = "nemo@secret.example.org"


class Log:
    """What has been written, as text and as lines of JSON."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        """Everything."""
        return self.stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        """Each line read again. Fails unless every line is an object of JSON."""
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """Give the log of a configured process; what was configured is put back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    was = {name: (logging.getLogger(name).level, logging.getLogger(name).disabled) for name in logs.THEIRS}
    monkeypatch.setattr(logging, "raiseExceptions", True)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("threading.excepthook", sys.excepthook)
    written = Log()
    monkeypatch.setattr(sys, "stderr", written.stream)
    logs.configure()
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, (each, disabled) in was.items():
        logging.getLogger(name).setLevel(each)
        logging.getLogger(name).disabled = disabled


def fail(value: str) -> None:
    """Raise an error that quotes a value, caused by another that does."""
    try:
        int(value)
    except ValueError as error:
        raise LookupError(f"no row for {value}") from error


def test_a_line_is_json_with_time_level_and_allowed_extras(log: Log) -> None:
    extra = {"relay": "127.0.0.1:25", "code": 451, "email": ADDRESS, "name": "x"}
    del extra["name"]  # the logging library refuses it
    logging.getLogger("petition.mail").warning("relay paused", extra=extra)
    (line,) = log.lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "petition.mail",
        "message": "relay paused",
        "relay": "127.0.0.1:25",
        "code": 451,
    }


def test_an_exception_is_its_classes_and_places_without_a_word_of_it(log: Log) -> None:
    try:
        fail(ADDRESS)
    except LookupError:
        logging.getLogger("petition").exception("an e-mail cannot be composed")
    (line,) = log.lines()
    assert line["error"] == ["LookupError", "ValueError"]
    assert any(frame.startswith("core/test_logs.py:") and frame.endswith(" fail") for frame in line["frames"])
    assert "secret" not in log.text
    assert "\\n" not in log.text


def test_groups_tell_of_each_member(log: Log) -> None:
    group = ExceptionGroup(ADDRESS, [ValueError(ADDRESS), OSError(ADDRESS)])
    logging.getLogger("petition").error("the process stops because of an error", exc_info=group)
    assert log.lines()[0]["error"] == ["ExceptionGroup", "ValueError", "OSError"]
    assert "secret" not in log.text


def test_an_address_that_slips_into_a_message_of_ours_is_cut_out(log: Log) -> None:
    logging.getLogger("petition").info("%s said no", ADDRESS, extra={"task": f"mail {ADDRESS}"})
    assert "secret" not in log.text
    assert log.lines()[0]["message"] == "… said no"


@pytest.mark.parametrize("name", ["uvicorn.error", "asyncio", "aiosmtplib", "mail.log", "somebody.else"])
def test_other_peoples_values_are_not_written(log: Log, name: str) -> None:
    logger = logging.getLogger(name)
    logger.error("Peer: %r said %s", ("127.0.0.1", 5), "Nemo")
    logger.error("Task exception was never retrieved\nfuture: ValueError('Nemo')")
    logger.error(f"Exception in callback f({ADDRESS!r}) of Nemo")  # noqa: G004 - as some of them do
    assert [line["message"] for line in log.lines()] == [
        "Peer",
        "Task exception was never retrieved",
        "Exception in callback f",
    ]


def test_the_numbers_of_processes_are_written(log: Log) -> None:
    server = logging.getLogger("uvicorn.error")
    server.info("Started server process [%d]", 4711, extra={"color_message": "x"})
    server.info(f"Finished server process [{4712}]")
    assert [line["message"] for line in log.lines()] == [
        "Started server process 4711",
        "Finished server process 4712",
    ]


def test_errors_about_settings_and_the_database_say_why(log: Log) -> None:
    try:
        try:
            raise SettingsError("SECRET_KEY is not the one")
        except SettingsError as error:
            raise LookupError(ADDRESS) from error
    except LookupError:
        logging.getLogger("petition").exception("request failed")
    assert log.lines()[0]["reason"] == "SECRET_KEY is not the one"
    assert "secret" not in log.text.replace("SECRET_KEY", "")


def test_requests_are_not_logged(log: Log) -> None:
    logging.getLogger("uvicorn.access").info('%s - "%s %s"', "127.0.0.1", "GET", "/en/confirm/token")
    logging.getLogger("mail.log").info("sender: %s", ADDRESS)
    assert log.text == ""


async def test_what_a_forgotten_task_raised_is_not_quoted(log: Log) -> None:
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": f"Unhandled {ADDRESS}", "exception": ValueError(ADDRESS)})
    assert log.lines()[0]["error"] == ["ValueError"]
    assert "secret" not in log.text


def test_an_error_that_ends_the_process_is_a_line_too(log: Log) -> None:
    try:
        fail(ADDRESS)
    except LookupError as error:
        sys.excepthook(LookupError, error, error.__traceback__)
    assert log.lines()[0]["level"] == "critical"
    assert "secret" not in log.text


def test_a_message_that_does_not_fit_its_arguments_harms_nobody(log: Log) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logging.getLogger("petition").info("%d mails", ADDRESS)
    assert log.lines()[0]["message"] == "%d mails"
