"""Where an embedded cluster lives: below ``DATA_DIR``, or elsewhere if the server's account cannot get there.

``HOME/cluster`` is PostgreSQL's own and belongs to its account. All else in the home belongs to the user who runs
petition: root never writes where another account could have laid a link. Nothing is open to other accounts; where root
runs it, the group of folders on the way is the server account's own, and lets it through.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from petition.core.errors import EmbeddedError, SettingsError
from petition.core.private_folders import PASSAGE, check_owner, make_private
from petition.postgres.account import Account, choose

_log = logging.getLogger(__name__)
_ELSEWHERE = Path("/var/lib")
_POINTER = "postgres.moved"


def find_home(data_dir: Path) -> Path:
    """Return the folder with the cluster of ``data_dir``, made if need be. Raises ``EmbeddedError``."""
    try:
        return _find(data_dir.absolute())
    except SettingsError as error:
        raise EmbeddedError(f"DATA_DIR: {error}") from None
    except OSError as error:
        raise EmbeddedError(f"DATA_DIR {data_dir} cannot be used: {error.strerror} ({error.filename})") from None


def _find(data_dir: Path) -> Path:
    home, pointer = data_dir / "postgres", data_dir / _POINTER
    make_private(data_dir)
    if pointer.exists():
        elsewhere = Path(pointer.read_text(encoding="utf-8").strip())
        _make(elsewhere)
        _let_through([elsewhere], choose(elsewhere / "cluster"))
        return elsewhere
    _make(home)
    account = choose(home / "cluster")
    _let_through([data_dir, home], account)
    return home if account.can_enter(home) else _move(data_dir, pointer)


def _make(home: Path) -> None:
    if not home.exists():
        home.mkdir(mode=0o700, exist_ok=True)
    check_owner(home)


def _let_through(folders: Sequence[Path], account: Account) -> None:
    """Where we are root, let the server's account pass, and no other: by its group, which no other account is in."""
    for folder in folders:
        owner = folder.stat()
        if account.gid is None:
            folder.chmod(0o700)
        elif owner.st_uid == 0:
            if owner.st_gid != account.gid:
                os.chown(folder, 0, account.gid)
            folder.chmod(PASSAGE)


def _move(data_dir: Path, pointer: Path) -> Path:
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    elsewhere = _ELSEWHERE / f"petition-{name}"
    _make(elsewhere)
    _let_through([elsewhere], choose(elsewhere / "cluster"))
    unfinished = pointer.with_name(f"{_POINTER}.{os.getpid()}")
    unfinished.write_text(f"{elsewhere}\n", encoding="utf-8")
    unfinished.replace(pointer)
    _log.warning("the database server's account cannot enter DATA_DIR; the database is in %s", elsewhere)
    return elsewhere
