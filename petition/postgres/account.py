"""The operating-system account that the embedded server runs as: PostgreSQL refuses to run as root."""

import grp
import hashlib
import os
import pwd
import signal
import stat
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
    """Return the account for ``cluster``: our own; for root the files' owner, or for new ones an id without a name.

    Files of the shared account, as older versions had them, count as new: other servers' workers run under it too.
    """
    if os.geteuid() != 0:
        return Account()
    owner = _owner(cluster)
    if owner is not None and owner.uid not in {0, shared().uid}:
        return owner
    return _unnamed(cluster)


def shared() -> Account:
    """Return the unprivileged account that many programs share; it has a name. Raises ``EmbeddedError``."""
    try:
        unprivileged = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL does not run as root, and there is no user nobody: run petition as another user"
        ) from None
    return Account(unprivileged.pw_uid, unprivileged.pw_gid)


def hand_over(cluster: Path, account: Account) -> None:
    """Give the files of ``cluster``, which no process uses, from the shared account. Raises ``EmbeddedError``.

    From the top down, so that the shared account is shut out first. ``PG_VERSION`` comes last: its owner marks the end.
    Other processes of that account may have put links among the files; none of them is followed.
    """
    before = shared().uid
    for _, folders, files, descriptor in os.fwalk(cluster, topdown=True):
        os.fchown(descriptor, account.uid or 0, account.gid or 0)
        for name in (*folders, *sorted(files, key=lambda name: name == "PG_VERSION")):
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            is_plain = stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)
            if not is_plain or status.st_uid not in {before, account.uid}:
                raise EmbeddedError(f"{cluster} has a file {name!r} that is not the server's own; move it away")
            if name == "PG_VERSION" and os.path.samestat(os.fstat(descriptor), cluster.stat()):
                continue
            os.chown(name, account.uid or 0, account.gid or 0, dir_fd=descriptor, follow_symlinks=False)
    os.chown(cluster / "PG_VERSION", account.uid or 0, account.gid or 0, follow_symlinks=False)


def is_shared(cluster: Path) -> bool:
    """Return whether ``cluster`` belongs to the shared account, wholly or in part."""
    owner = _owner(cluster / "PG_VERSION")
    return os.geteuid() == 0 and owner is not None and owner.uid == shared().uid


def _owner(path: Path) -> Account | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return Account(status.st_uid, status.st_gid)


# Neither useradd nor subordinate ids nor containers use these; the second range is systemd's for services that
# need an account for as long as they run, and exists where only 65,536 ids do.
_UNNAMED = (range(65_537, 100_000), range(61_184, 65_520))


def _unnamed(cluster: Path) -> Account:
    """Return an id that no account has and that is always the same for this cluster. Raises ``EmbeddedError``."""
    seed = int.from_bytes(hashlib.sha256(os.fsencode(cluster.absolute())).digest()[:8])
    for ids in _UNNAMED:
        for step in range(100):
            number = ids[(seed + step) % len(ids)]
            if _is_mapped(number) and name_of(number) is None and not _is_group(number):
                return Account(number, number)
    raise EmbeddedError("as root, PostgreSQL needs a user id that is free: run petition as another user instead")


def _is_mapped(number: int) -> bool:
    """Return whether this process's user namespace has both ids: some containers have only 65,536."""
    for kind in ("uid_map", "gid_map"):
        try:
            lines = Path(f"/proc/self/{kind}").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        ranges = [(int(first), int(length)) for first, _, length in map(str.split, lines)]
        if not any(first <= number < first + length for first, length in ranges):
            return False
    return True


def _is_group(gid: int) -> bool:
    try:
        grp.getgrgid(gid)
    except KeyError:
        return False
    return True


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
