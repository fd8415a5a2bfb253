"""Starting child processes that end when the process that started them does, however that one ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Return a ``preexec_fn`` that has the kernel send signal ``number`` to the child when its parent ends.

    The kernel watches the *thread* that starts the child, so start it from the main thread. Linux only: elsewhere
    ``None`` is returned and no signal is sent. Changing the user resets the request, and ``subprocess`` calls
    ``preexec_fn`` after it has changed the user.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it ended before the request was made
            os._exit(1)

    return ask
