"""How long the database may keep a request waiting.

Set once for each request of the public side, read by ``Database`` at each use. Without one (the worker, the commands,
the desk's own long acts) only the driver's limit for a statement holds.
"""

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


def left() -> float | None:
    """Return for how many seconds this task may wait now; None: without a limit."""
    patience = _current.get()
    return None if patience is None else max(patience.seconds, 0.0)


def spend(seconds: float) -> None:
    """Note that this task has waited."""
    patience = _current.get()
    if patience is not None and patience.is_total:
        patience.seconds -= seconds
