"""Logs as lines of JSON that may be kept: never an address, a name, a token or a path.

A message is written only as far as we wrote it ourselves. Of an exception there is its class and where it happened,
not what it says, since drivers and mail servers like to quote the row or the address they disliked; only our errors
about settings and the database say why (``reason``), since they name nothing else. Other people's loggers are cut down
to the constant beginning of their message, with the numbers of processes in it.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType

from petition.core import request_ids
from petition.core.errors import SettingsError, Unavailable

# What may stand beside a message. Each is a figure, or a word out of a small set that no visitor chooses.
EXTRAS = frozenset(
    {
        "attempt",
        "code",
        "count",
        "host",
        "job",
        "limit",
        "migration",
        "ms",
        "pid",
        "port",
        "relay",
        "route",
        "schema",
        "seconds",
        "status",
        "step",
        "task",
        "trouble",
        "version",
        "workers",
    }
)
OURS = "petition"
MAX_FRAMES = 12

_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+")
_VALUES = re.compile(r"[\n\r<({\['\"%=:]")  # what follows one of these may be a value
_PROCESS = re.compile(r"\[([0-9]{1,10})\]")
_QUIET = {
    "uvicorn.access": None,
    "aiosmtplib": logging.WARNING,
    "mail.log": logging.WARNING,
    "asyncio": logging.WARNING,
}
THEIRS = ("asyncio", "uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access", "aiosmtplib", "mail.log")


def configure(level: str | int = logging.INFO) -> None:
    """Send every logger of this process through one formatter to stderr; safe to call twice."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in THEIRS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name, min_level in _QUIET.items():
        logging.getLogger(name).setLevel(min_level or logging.NOTSET)
        logging.getLogger(name).disabled = min_level is None
    # A handler that fails would otherwise print the record with all its values.
    logging.raiseExceptions = False
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


class JsonFormatter(logging.Formatter):
    """One line of JSON a record: time (UTC), level, logger, message, allowed extras, and where an exception arose."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if (request := request_ids.current.get()) is not None:
            line["request"] = request
        line |= {name: _plain(value) for name, value in vars(record).items() if name in EXTRAS}
        if record.exc_info and record.exc_info[1] is not None:
            line |= describe(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def describe(error: BaseException) -> dict[str, object]:
    """Return the classes of ``error`` and of what caused it, and its innermost frames as "file:line function"."""
    reasons = [str(link) for link in _chain(error) if isinstance(link, SettingsError | Unavailable)]
    return {
        **({"reason": _without_addresses(reasons[0])} if reasons else {}),
        "error": [_class_name(link) for link in _chain(error)],
        "frames": [frame for link in _chain(error) for frame in _frames(link.__traceback__)][:MAX_FRAMES],
    }


def _message(record: logging.LogRecord) -> str:
    if record.name != OURS and not record.name.startswith(f"{OURS}."):
        return _without_addresses(_VALUES.split(_with_numbers(record), maxsplit=1)[0].strip())
    try:
        return _without_addresses(record.getMessage())
    except (TypeError, ValueError):
        return _without_addresses(str(record.msg))


def _with_numbers(record: logging.LogRecord) -> str:
    """Return another logger's message with those values that are a process's number: "Started server process 4711"."""
    text = str(record.msg)
    if record.args and all(type(value) is int for value in record.args):
        text = record.getMessage()
    return _PROCESS.sub(r"\1", text)


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return _without_addresses(str(value))[:200]


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub("…", text)


def _class_name(error: BaseException) -> str:
    cls = type(error)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error``, the members of a group, and what each was caused by, each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting.append(link.__cause__ or (None if link.__suppress_context__ else link.__context__))
        if isinstance(link, BaseExceptionGroup):
            waiting.extend(link.exceptions)


def _frames(traceback: TracebackType | None) -> list[str]:
    frames: list[str] = []
    while traceback is not None:
        frames.append(_location(traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    return frames[::-1]


def _location(frame: FrameType, line: int) -> str:
    path = Path(frame.f_code.co_filename)
    return f"{path.parent.name}/{path.name}:{line} {frame.f_code.co_name}"


def _log_uncaught(cls: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(cls, KeyboardInterrupt):
        return
    logging.getLogger(OURS).critical("the process stops because of an error", exc_info=(cls, error, traceback))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
