"""One PostgreSQL cluster on disk: made whole or not at all, configured anew before each start."""

import os
import re
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from petition.core.errors import EmbeddedError
from petition.postgres import account, binaries, memory
from petition.postgres.account import Account
from petition.postgres.binaries import Binaries

ROLE = DATABASE = "petition"
PORT = 5432  # only names the socket: nothing listens on the network
_SOCKET_LIMIT = 103  # bytes; sockaddr_un on macOS, the shortest
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]+")  # neither PostgreSQL's list syntax nor a URL needs to escape it
_STOP_GRACE = 20.0  # seconds, for a server that is stopping
_ORPHANS_GRACE = 2.0  # seconds, for processes whose server was killed

# Deleted rows leave the files soon, and a segment of the write-ahead log that is no longer needed is deleted instead of
# being renamed with its old content.
# No row may ever stand in the server's log. Errors quote values ("invalid input syntax … "), so errors are not logged
# at all; the program that caused one gets it. What the server says about itself (log, fatal, panic) stays.
_CONFIGURATION = """\
# Rewritten at every start.
include '{cluster}/postgresql.conf'
listen_addresses = ''
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
hba_file = '{home}/pg_hba.conf'
ident_file = '{home}/pg_ident.conf'
max_connections = 100
shared_buffers = '{buffers}MB'
autovacuum_naptime = '30s'
wal_recycle = off
fsync = on
synchronous_commit = on
full_page_writes = on
jit = off
timezone = 'UTC'
lc_messages = 'C'
log_timezone = 'UTC'
log_destination = 'stderr'
logging_collector = off
log_line_prefix = '%m [%p] '
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_statement = 'none'
log_min_duration_statement = -1
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_checkpoints = off
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster in ``home``, with the account and the programs that serve it."""

    home: Path
    account: Account
    binaries: Binaries
    fast: bool  # tests only: a crash of the machine may lose data

    @classmethod
    def prepare(cls, home: Path, fast: bool) -> "Cluster":
        """Return the cluster of ``home``, made now if there is none. Raises ``EmbeddedError``."""
        folder = home / "cluster"
        chosen = account.choose(folder)
        cluster = cls(home, chosen, binaries.find(chosen, home, _major(folder)), fast)
        if not folder.exists():
            cluster._make()
        elif account.is_shared(folder):
            cluster.clear(home / "run")
            account.hand_over(folder, chosen)
        return cluster

    @property
    def folder(self) -> Path:
        """PostgreSQL's data directory."""
        return self.home / "cluster"

    def start(self, sockets: Path) -> Popen[str]:
        """Start the server with its socket in ``sockets``; it is asked to stop at once if this thread ends."""
        self._configure(sockets)
        command = [self.binaries.program("postgres"), "-D", str(self.folder)]
        command += ["-c", f"config_file={self.home}/postgresql.conf"]
        if self.fast:
            command += ["-c", "fsync=off", "-c", "full_page_writes=off"]
        return self.account.start(command, end=signal.SIGINT)

    def is_ready(self, pid: int) -> bool:
        """Return whether the server with this process id takes connections, as its own pid file says."""
        try:
            lines = (self.folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def clear(self, sockets: Path) -> None:
        """End what an earlier server left running on these files, and remove its lock files if no process is left.

        Only for the keeper, which knows that no other keeper has these files. PostgreSQL itself trusts a pid file as
        soon as any process of its account has that number, which after a restart of a container is nearly certain.
        """
        if not Path("/proc/self/cwd").exists():
            return  # without /proc there is no telling; PostgreSQL decides by itself
        started = time.monotonic()
        while left := list(self._processes()):
            waited = time.monotonic() - started
            first = self._postmaster()
            if first in left:
                _signal(first, signal.SIGQUIT if waited > _STOP_GRACE else signal.SIGINT)
            elif waited > _ORPHANS_GRACE:  # its children notice by themselves that it is gone, as a rule at once
                for pid in left:
                    _signal(pid, signal.SIGQUIT)
            time.sleep(0.1)
        socket = f".s.PGSQL.{PORT}"
        for path in (self.folder / "postmaster.pid", sockets / socket, sockets / f"{socket}.lock"):
            path.unlink(missing_ok=True)

    def make_sockets_folder(self, before: Path | None) -> Path:
        """Make the folder of the socket, in a temporary place if its path would be too long or too odd.

        The temporary folder that a killed keeper has left is used again: its users know no other.
        """
        run = self.home / "run"
        path = str(run)
        if before is not None and before != run and self._is_ours(before):
            run = before
        elif not _PLAIN_PATH.fullmatch(path) or len(f"{path}/.s.PGSQL.{PORT}") > _SOCKET_LIMIT:
            run = Path(tempfile.mkdtemp(prefix="petition-", dir="/tmp"))
        run.mkdir(mode=0o700, exist_ok=True)
        self.account.own(run)
        return run

    def _is_ours(self, folder: Path) -> bool:
        try:
            status = folder.lstat()
        except OSError:
            return False
        owner = os.geteuid() if self.account.uid is None else self.account.uid
        return stat.S_ISDIR(status.st_mode) and status.st_uid == owner and not status.st_mode & 0o077

    def _make(self) -> None:
        for unfinished in self.home.glob("cluster-new-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix="cluster-new-", dir=self.home))
        maker = self._maker()
        maker.own(new)
        _must(maker, [*self._initdb(), "-D", str(new)])
        _must(
            maker,
            [self.binaries.program("postgres"), "--single", "-D", str(new), "template1"],
            f"CREATE DATABASE {DATABASE}\n",
        )
        if maker != self.account:
            account.hand_over(new, self.account)
        new.rename(self.folder)
        _sync(self.home)

    def _initdb(self) -> list[str]:
        command = [self.binaries.program("initdb"), "-U", ROLE, "-E", "UTF8", "-k", "--auth=peer", "--no-instructions"]
        if self.binaries.major >= 17:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        else:
            command += ["--locale=C.UTF-8"]
        return [*command, "--no-sync"] if self.fast else command

    def _maker(self) -> Account:
        """Return the account that makes the files: PostgreSQL makes none under an id without a name.

        In the group of ``account``, which lets it in here; no other process of that account is in it.
        """
        if self.account.uid is None or account.name_of(self.account.uid) is not None:
            return self.account
        return Account(account.shared().uid, self.account.gid)

    def _configure(self, sockets: Path) -> None:
        values = {"cluster": _quoted(self.folder), "home": _quoted(self.home), "sockets": sockets, "port": PORT}
        buffers = memory.MIN_MIB if self.fast else memory.buffers_size()
        self._write("postgresql.conf", _CONFIGURATION.format(**values, buffers=buffers))
        self._write("pg_hba.conf", "local all all peer map=petition\n")
        names = dict.fromkeys(["root", account.our_name(), *self._server_name()])
        self._write("pg_ident.conf", "".join(f'petition "{name}" {ROLE}\n' for name in names))

    def _server_name(self) -> list[str]:
        """Root serving an ordinary user's cluster admits that user too, but not the unprivileged account."""
        if self.account.uid is None:
            return []
        name = account.name_of(self.account.uid)
        return [name] if name and name != "nobody" else []

    def _write(self, name: str, text: str) -> None:
        unfinished = self.home / f"{name}.new"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.chmod(0o644)
        unfinished.replace(self.home / name)

    def _postmaster(self) -> int:
        try:
            return int((self.folder / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        except (OSError, ValueError):
            return 0

    def _processes(self) -> Iterator[int]:
        """Yield PostgreSQL's processes in this cluster: each has it as its working directory."""
        folder = self.folder.resolve()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                inside = (entry / "cwd").readlink() == folder and (entry / "exe").readlink().name.startswith("postgres")
            except OSError:  # gone meanwhile, or another account's
                continue
            if inside:
                yield int(entry.name)


def _must(maker: Account, command: list[str], text: str = "") -> None:
    done = maker.run(command, text)
    if done.returncode != 0 or "FATAL" in done.stdout or "ERROR" in done.stdout:
        raise EmbeddedError(f"the database cannot be created: {reason(done.stdout.splitlines())}")


def reason(lines: list[str]) -> str:
    """Return the line of PostgreSQL's output that says what went wrong."""
    for mark in ("FATAL:", "PANIC:", "ERROR:", "error:"):
        for line in lines:
            if mark in line:
                return line.split(mark, 1)[1].strip()
    return lines[-1].strip() if lines else "no output from PostgreSQL"


def _major(folder: Path) -> int | None:
    try:
        return int((folder / "PG_VERSION").read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise EmbeddedError(f"{folder} was not created by petition, or belongs to another user") from None


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
