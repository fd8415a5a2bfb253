"""Folders that are closed to other accounts of the machine: made so, or narrowed if they are not."""

import grp
import os
import stat
from pathlib import Path

from petition.core.errors import SettingsError

PASSAGE = 0o710  # what root uses: the group, which has no member, is that of the database server's account


def make_private(folder: Path) -> None:
    """Make ``folder`` (0700) or narrow it to that. Raises ``SettingsError`` if another account may have filled it.

    A folder of root's that lets one group without a name through stays: that is the embedded server's own.
    """
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_owner(folder)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077 == 0 or (mode == PASSAGE and not _has_name(folder.stat().st_gid)):
        return
    if mode & 0o022:
        for entry in folder.iterdir():
            check_owner(entry)
    folder.chmod(0o700)


def check_owner(path: Path) -> None:
    """Refuse what another account made, or a link that it laid; root may serve another user's folder."""
    link = path.lstat()
    status = path.stat() if path.exists() else link
    ours = {0, os.geteuid()}
    is_foreign = status.st_uid not in ours and os.geteuid() != 0
    if (stat.S_ISLNK(link.st_mode) and link.st_uid not in ours) or is_foreign:
        raise SettingsError(f"{path} belongs to another user; give it to the user who runs petition, or move it away")


def open_private(path: str | Path, flags: int) -> int:
    """Open a file as its owner's alone (0600), an older one too; never through a link. For ``open(opener=…)``."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def _has_name(gid: int) -> bool:
    try:
        grp.getgrgid(gid)
    except KeyError:
        return False
    return True
