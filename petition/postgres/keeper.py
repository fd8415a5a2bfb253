"""The keeper: one process per embedded cluster, which serves it as long as a process uses it.

``python -m petition.postgres.keeper HOME``, started by the first user. It has a session of its own, so that Ctrl-C
reaches the users and not the database under them. Three lock files in the home tell all there is to know, and none
can be stale, since the kernel lets go of them when their holder ends:

* ``users.lock``: held *together* by all users. The keeper waits to hold it *alone*: then no user is left.
* ``keeper.lock``: held by the keeper while it lives.
* ``ready.lock``: held by the keeper while the server takes connections.
"""

import argparse
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from enum import Enum, auto
from logging.handlers import RotatingFileHandler
from pathlib import Path
from queue import SimpleQueue

from petition.core.errors import EmbeddedError
from petition.postgres.cluster import Cluster, reason
from petition.postgres.locks import Lock

SOCKETS = "sockets"  # the file in the home that names the folder of the socket
_LOG_BYTES, _LOG_FILES = 1_000_000, 2
_FAST_STOP, _IMMEDIATE_STOP = 30, 10  # seconds that each way of stopping may take
_SLOWEST_RESTART = 2.0  # seconds between two tries


class Event(Enum):
    """What the keeper waits for."""

    UNUSED = auto()  # the last user has gone
    ENDED = auto()  # the server has ended by itself
    SIGNALLED = auto()  # a signal asks the keeper to end


class Keeper:
    """Serves the cluster of one home."""

    def __init__(self, home: Path, fast: bool) -> None:
        self._home = home
        self._fast = fast
        self._events: SimpleQueue[Event] = SimpleQueue()  # may be put to from a signal handler
        self._output: deque[str] = deque(maxlen=50)
        self._log = _server_log(home)
        # Opened first: if we are killed the kernel closes in this order, and a user who is let in by users.lock
        # must not find keeper.lock still held.
        self._alive = Lock(home / "keeper.lock")
        self._ready = Lock(home / "ready.lock")
        self._users = Lock(home / "users.lock")

    def run(self) -> None:
        """Serve until no user is left. Raises ``EmbeddedError`` if the first start fails."""
        if not self._become_the_keeper():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._events.put(Event.SIGNALLED))
        cluster = Cluster.prepare(self._home, self._fast)
        sockets = self._sockets_folder(cluster)
        server = self._start(cluster, sockets)
        _let_go_of_the_starter()
        threading.Thread(target=self._wait_for_users, daemon=True).start()
        tries = 0
        while self._events.get() is Event.ENDED and cluster.folder.exists():
            self._ready.release()
            began = time.monotonic()
            try:
                server = self._start(cluster, sockets)
                tries = 0
            except EmbeddedError:
                tries += 1
                time.sleep(max(0.0, min(_SLOWEST_RESTART, 0.1 * 2**tries) - (time.monotonic() - began)))
        self._ready.release()
        _stop(server)
        self._clean(sockets)

    def _become_the_keeper(self) -> bool:
        """Return whether there was no keeper yet. Users look at the lock too, for moments, so one try is not enough."""
        for _ in range(50):
            if self._alive.try_exclusive():
                return True
            time.sleep(0.01)
        return False

    def _wait_for_users(self) -> None:
        self._users.exclusive()
        self._events.put(Event.UNUSED)

    def _sockets_folder(self, cluster: Cluster) -> Path:
        record = self._home / SOCKETS
        before = Path(record.read_text(encoding="utf-8")) if record.exists() else None
        folder = cluster.make_sockets_folder(before)
        unfinished = record.with_suffix(".new")
        unfinished.write_text(str(folder), encoding="utf-8")
        unfinished.replace(record)
        return folder

    def _start(self, cluster: Cluster, sockets: Path) -> subprocess.Popen[str]:
        """Start the server and wait until it takes connections, which after a crash may take it a while."""
        cluster.clear(sockets)
        self._output.clear()
        server = cluster.start(sockets)
        watcher = threading.Thread(target=self._watch, args=(server,), daemon=True)
        watcher.start()
        while not cluster.is_ready(server.pid):
            if not watcher.is_alive():
                raise EmbeddedError(f"PostgreSQL cannot be started: {reason(list(self._output))}")
            time.sleep(0.01)
        self._ready.exclusive()
        return server

    def _watch(self, server: subprocess.Popen[str]) -> None:
        """Keep what the server says, then report its end."""
        for line in server.stdout or ():
            self._output.append(line.rstrip())
            self._log.info("%s", line.rstrip())
        server.wait()
        self._events.put(Event.ENDED)

    def _clean(self, sockets: Path) -> None:
        """Leave nothing behind; let go of keeper.lock before users.lock lets the next user in."""
        if sockets.parent != self._home:
            shutil.rmtree(sockets, ignore_errors=True)
        with contextlib.suppress(OSError):
            (self._home / SOCKETS).unlink()
        self._alive.close()


def _server_log(home: Path) -> logging.Logger:
    """Return where the server's own lines go: ``HOME/server.log``, two files of at most 1 MB."""
    file = home / "server.log"
    if file.exists() and not os.access(file, os.W_OK):
        file.unlink()  # root made it while serving this user's database
    log = logging.Logger("postgres")
    log.addHandler(RotatingFileHandler(file, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES - 1))
    return log


def _let_go_of_the_starter() -> None:
    """Close the pipe to the user who started us: it has read that all is well when ``ready.lock`` was taken."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _stop(server: subprocess.Popen[str]) -> None:
    """Stop the server: open transactions are rolled back; harder if it takes too long. Every way is crash-safe."""
    for number, patience in ((signal.SIGINT, _FAST_STOP), (signal.SIGQUIT, _IMMEDIATE_STOP), (signal.SIGKILL, 5)):
        if server.poll() is not None:
            return
        server.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(patience)


def main() -> int:
    """Run the keeper of the home named on the command line."""
    parser = argparse.ArgumentParser(prog="petition.postgres.keeper", description="Serves an embedded PostgreSQL.")
    parser.add_argument("home", type=Path)
    parser.add_argument("--fast", action="store_true", help="tests only: data may be lost if the machine fails")
    arguments = parser.parse_args()
    os.umask(0o077)
    try:
        Keeper(arguments.home, arguments.fast).run()
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
