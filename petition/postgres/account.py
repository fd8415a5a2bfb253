"""The operating-system account that the embedded server runs as: PostgreSQL refuses to run as root."""

import os
import pwd
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from petition.core.child_processes import die_with_parent
from petition.core.errors import EmbeddedError


@dataclass(frozen=True, slots=True)
class Account:
    """An account; ``uid`` and ``gid`` are ``None`` where it is the one we run under ourselves."""

    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Return whether the account gets through to ``folder``; asked of the kernel, so access lists count too."""
        return self.uid is None or self.can_run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)])

    def can_run(self, command: Sequence[str]) -> bool:
        """Return whether ``command`` can be executed under this account and succeeds."""
        try:
            return self.run(command).returncode == 0
        except OSError:
            return False

    def run(self, command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``command`` with ``text`` as its input and wait for it; killed if this process ends meanwhile."""
        process = self.start(command, stdin=subprocess.PIPE, end=signal.SIGKILL)
        output, _ = process.communicate(text)
        return subprocess.CompletedProcess(command, process.returncode, stdout=output)

    def start(
        self, command: Sequence[str], *, stdin: int = subprocess.DEVNULL, end: signal.Signals
    ) -> subprocess.Popen[str]:
        """Start ``command``; its two outputs are one pipe. The kernel sends it ``end`` when this thread ends (Linux).

        The working directory is the root: older PostgreSQLs stop if they cannot read the one they are started in.
        """
        return subprocess.Popen(  # noqa: S603 - PostgreSQL's own programs, no shell between
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            user=self.uid,
            group=self.gid,
            # Never empty: Python 3.12.0 kept root's groups then.
            extra_groups=None if self.gid is None else [self.gid],
            preexec_fn=die_with_parent(end),
        )


def choose(cluster: Path) -> Account:
    """Return the account for ``cluster``: our own; for root the files' owner, or an unprivileged user for new ones."""
    if os.geteuid() != 0:
        return Account()
    if cluster.exists():
        owner = cluster.stat()
        if owner.st_uid != 0:
            return Account(owner.st_uid, owner.st_gid)
    try:
        unprivileged = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL does not run as root, and there is no user nobody: run petition as another user"
        ) from None
    return Account(unprivileged.pw_uid, unprivileged.pw_gid)


def name_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def our_name() -> str:
    """Return the name of the user we run as, which PostgreSQL compares with its map. Raises ``EmbeddedError``."""
    name = name_of(os.geteuid())
    if name is None:
        raise EmbeddedError(
            f"user {os.geteuid()} has no name on this machine, which PostgreSQL needs; set DATABASE_URL instead"
        )
    return name
