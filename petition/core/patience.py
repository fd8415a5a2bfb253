"""How long the database may keep a request waiting.

Set once for each request of the public side, read by ``Database`` at each use. Without one (the worker, the commands,
the desk's own long acts) only the driver's limit for a statement holds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_current: ContextVar["_Patience | None"] = ContextVar("patience", default=None)


@dataclass(slots=True)
class _Patience:
    seconds: float
    is_total: bool  # for all uses together, else for each


def begin(seconds: float | None, *, is_total: bool = False) -> None:
    """Have this task, and those it starts, wait ``seconds`` for the database: for each use, or for all together."""
    _current.set(None if seconds is None else _Patience(seconds, is_total))


@contextmanager
def suspended() -> Iterator[None]:
    """Have what is done meanwhile neither be limited nor count: it has a limit of its own."""
    before = _current.get()
    _current.set(None)
    try:
        yield
    finally:
        _current.set(before)


def left() -> float | None:
    """Return for how many seconds this task may wait now; None: without a limit."""
    patience = _current.get()
    return None if patience is None else max(patience.seconds, 0.0)


def left_in_all() -> float | None:
    """Return for how many seconds this task may wait in all; None: without such a limit."""
    patience = _current.get()
    return max(patience.seconds, 0.0) if patience is not None and patience.is_total else None


def spend(seconds: float) -> None:
    """Note that this task has waited."""
    patience = _current.get()
    if patience is not None and patience.is_total:
        patience.seconds -= seconds
