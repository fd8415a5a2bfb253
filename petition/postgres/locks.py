"""Advisory locks on files. The kernel takes them back however their holder ends, so they are never stale."""

import fcntl
import os
from pathlib import Path

from petition.core.errors import EmbeddedError


class Lock:
    """One open lock file. Two ``Lock`` objects on one file exclude each other, within a process too."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if os.geteuid() == 0:  # root may be first to open a folder of another user
                owner = path.parent.stat()
                os.fchown(self._descriptor, owner.st_uid, owner.st_gid)
        except OSError as error:
            raise EmbeddedError(f"{path} cannot be opened: {error.strerror}") from None

    def shared(self) -> None:
        """Wait until the lock is not held exclusively, then hold it together with others."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def exclusive(self) -> None:
        """Wait until the lock is free, then hold it alone."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Hold the lock together with others if that is possible at once; tell whether it was."""
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Hold the lock alone if that is possible at once; tell whether it was."""
        return self._try(fcntl.LOCK_EX)

    def is_free(self) -> bool:
        """Return whether no other holder has the lock exclusively. Only for a lock that is not held here."""
        free = self.try_shared()
        if free:
            self.release()
        return free

    def release(self) -> None:
        """Let go; the file stays open."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go for good."""
        os.close(self._descriptor)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
