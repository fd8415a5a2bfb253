"""A PostgreSQL of one test's own, which can be stopped, killed and started again."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from petition.postgres import account
from petition.postgres.cluster import DATABASE, PORT, ROLE, Cluster
from petition.postgres.home import find_home


class Server:
    """The cluster of ``folder``. It runs without a keeper, who would start it again at once.

    It begins with the files of ``original``, a server that has stopped, if one is named.
    """

    def __init__(self, folder: Path, original: "Server | None" = None) -> None:
        home = find_home(folder)
        if original is not None:
            _copy(original._cluster.folder, home / "cluster")
        self._cluster: Cluster = Cluster.prepare(home, os.environ.get("PETITION_TEST_FSYNC") != "1")
        self._sockets = self._cluster.make_sockets_folder(None)
        self._process: subprocess.Popen[str] | None = None
        self.said: list[str] = []

    def files(self) -> list[Path]:
        """Return the files that hold what was written: the database's own, the write-ahead log, and the rest.

        Left out are the three databases that every cluster begins with.
        """
        bases = sorted((self._cluster.folder / "base").glob("[0-9]*"), key=lambda path: int(path.name))
        found = (path for path in self._cluster.folder.rglob("*") if path.is_file())
        return [path for path in found if not any(path.is_relative_to(other) for other in bases[:-1])]

    @property
    def url(self) -> str:
        """Its address, the same each time."""
        return f"postgresql://{ROLE}@/{DATABASE}?host={self._sockets}&port={PORT}"

    @property
    def is_running(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.poll() is None

    def pids(self) -> list[int]:
        """Return the ids of its processes, the first one's first."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [pid, *map(int, children)]

    async def start(self, until: str = "ready") -> None:
        """Start it and wait until it takes connections, or until its pid file says another word."""
        await asyncio.to_thread(self._cluster.clear, self._sockets)
        self._process = self._cluster.start(self._sockets)
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()
        async with asyncio.timeout(120):
            while not self._is(until):
                if self._process.poll() is not None:
                    await asyncio.to_thread(self._listener.join, 5)
                    raise AssertionError(self.said[-5:])
                await asyncio.sleep(0.01)

    def _is(self, word: str) -> bool:
        assert self._process is not None
        if word == "ready":
            return self._cluster.is_ready(self._process.pid)
        file = self._cluster.folder / "postmaster.pid"
        return file.exists() and file.read_text(encoding="utf-8").rstrip().endswith(word)

    async def end(self, number: signal.Signals) -> None:
        """Send it ``number`` (SIGINT: a quick shutdown; SIGKILL: a crash) and wait until it is gone."""
        assert self._process is not None
        self._process.send_signal(number)
        await asyncio.to_thread(self._process.wait, 120)
        await asyncio.to_thread(self._listener.join, 120)

    def freeze(self) -> None:
        """Stop all of its processes where they are; connections stay open, and nothing is answered."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        pid = self._process.pid
        os.kill(pid, number)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            self.said.extend(lines)


def _copy(files: Path, folder: Path) -> None:
    """Copy a cluster for the account that will serve ``folder``: a third of the time that it takes to make one."""
    owner = account.choose(folder)
    shutil.copytree(files, folder)
    for path in (folder, *folder.rglob("*")):
        owner.own(path)
