"""PostgreSQL without a server to install: started by the first process that needs it, stopped after the last.

``with running(data_dir) as url:`` is all there is to it. Everything here blocks, so it is called before an event loop
runs. A *keeper* process serves the cluster for all users together; ``keeper`` describes their protocol.
"""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from petition.core.errors import EmbeddedError
from petition.core.resources import PACKAGE
from petition.postgres.cluster import DATABASE, PORT, ROLE
from petition.postgres.home import find_home
from petition.postgres.keeper import SOCKETS
from petition.postgres.locks import Lock

_log = logging.getLogger(__name__)
__all__ = ["Embedded", "running"]

_PAUSE = 0.01  # seconds between two looks
_PAUSE_AFTER_FAILURE = 2.0
_STOP_PATIENCE = 60.0  # seconds; longer than a keeper needs at worst
_others: list[subprocess.Popen[str]] = []  # keepers that we started and that now serve other users


@contextlib.contextmanager
def running(data_dir: Path, *, fast: bool = False) -> Iterator[str]:
    """Give the URL of the embedded database of ``data_dir`` while the block runs.

    If no other process uses it afterwards, the server has stopped when this returns. ``fast`` is for tests: it works
    without fsync. Raises ``EmbeddedError``.
    """
    embedded = Embedded(data_dir, fast=fast)
    try:
        yield embedded.start()
    finally:
        embedded.leave()


class Embedded:
    """One user of the embedded database of ``data_dir``."""

    def __init__(self, data_dir: Path, *, fast: bool = False) -> None:
        self._home = find_home(data_dir)
        self._fast = fast
        self._keeper: subprocess.Popen[str] | None = None
        self._left = threading.Event()
        self._turn = threading.Lock()
        self._using = Lock(self._home / "users.lock")
        self._alive = Lock(self._home / "keeper.lock")
        self._ready = Lock(self._home / "ready.lock")

    def start(self) -> str:
        """Wait until the server takes connections, started now if need be, and return its URL."""
        self._using.shared()  # a keeper that is stopping is waited for here; none begins to stop from now on
        self._bring_up()
        threading.Thread(target=self._replace_keepers, daemon=True).start()
        sockets = (self._home / SOCKETS).read_text(encoding="utf-8")
        return f"postgresql://{ROLE}@/{DATABASE}?host={sockets}&port={PORT}"

    def leave(self) -> None:
        """Release the server; if no other process uses it, wait until it has stopped."""
        self._left.set()
        with self._turn:  # the thread does nothing any more
            self._using.release()
        deadline = time.monotonic() + _STOP_PATIENCE
        while self._is_kept() and time.monotonic() < deadline and not self._others_use_it():
            time.sleep(_PAUSE)
        self._forget_keeper()
        for lock in (self._using, self._alive, self._ready):
            lock.close()

    def _is_kept(self) -> bool:
        """Return whether there is a keeper; ours may not have come as far as to hold the lock."""
        return not self._alive.is_free() or (self._keeper is not None and self._keeper.poll() is None)

    def _bring_up(self) -> None:
        """Wait until the server takes connections, and start a keeper whenever there is none."""
        while not self._left.is_set() and self._ready.is_free():  # in this order: leaving closes the files
            if self._alive.is_free():
                self._start_keeper()
            time.sleep(_PAUSE)

    def _replace_keepers(self) -> None:
        """In a thread: wait for the keeper's end; if it was killed while we use its server, start another."""
        alive = Lock(self._home / "keeper.lock")
        while True:
            alive.shared()
            alive.release()
            try:
                with self._turn:
                    self._bring_up()
            except EmbeddedError as error:
                _log.error("the database server has stopped: %s", error)
                self._left.wait(_PAUSE_AFTER_FAILURE)
            if self._left.wait(_PAUSE):
                alive.close()
                return

    def _others_use_it(self) -> bool:
        """Return whether there are other users.

        If we get the lock exclusively, there are none and the keeper is about to notice; if not even shared, it has."""
        is_alone = self._using.try_exclusive()
        others = not is_alone and self._using.try_shared()
        if is_alone or others:
            self._using.release()
        return others

    def _start_keeper(self) -> None:
        """Start a keeper unless ours is still coming up. One that finds another already there ends quietly."""
        if self._keeper is not None:
            if self._keeper.poll() is None:
                return
            output = self._keeper.stderr.read().strip() if self._keeper.stderr else ""
            failed = self._keeper.returncode > 0
            self._forget_keeper()
            if failed:
                raise EmbeddedError(output.splitlines()[-1] if output else "the embedded PostgreSQL cannot be started")
        command = [sys.executable, "-m", "petition.postgres.keeper", str(self._home)]
        self._keeper = subprocess.Popen(  # noqa: S603 - our own program
            [*command, "--fast"] if self._fast else command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env=os.environ | {"PYTHONPATH": _import_path()},
            start_new_session=True,
        )

    def _forget_keeper(self) -> None:
        if self._keeper is None:
            return
        if self._keeper.stderr:
            self._keeper.stderr.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(1 if self._alive.is_free() else 0)
        if self._keeper.returncode is None:
            _others.append(self._keeper)  # else it would be warned of as forgotten
        self._keeper = None


def _import_path() -> str:
    """Return a ``PYTHONPATH`` with which the keeper finds the very package that this is."""
    return os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
