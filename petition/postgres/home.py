"""Where an embedded cluster lives: below ``DATA_DIR``, or elsewhere if the server's account cannot get there.

``HOME/cluster`` is PostgreSQL's own and belongs to its account. All else in the home belongs to the user who runs
petition: root never writes where another account could have laid a link.
"""

import hashlib
import logging
import os
from pathlib import Path

from petition.core.errors import EmbeddedError
from petition.postgres.account import choose

_log = logging.getLogger(__name__)
_ELSEWHERE = Path("/var/lib")
_POINTER = "postgres.moved"


def find_home(data_dir: Path) -> Path:
    """Return the folder with the cluster of ``data_dir``, made if need be. Raises ``EmbeddedError``."""
    try:
        return _find(data_dir.absolute())
    except OSError as error:
        raise EmbeddedError(f"DATA_DIR {data_dir} cannot be used: {error.strerror} ({error.filename})") from None


def _find(data_dir: Path) -> Path:
    home, pointer = data_dir / "postgres", data_dir / _POINTER
    if pointer.exists():
        elsewhere = Path(pointer.read_text(encoding="utf-8").strip())
        _make(elsewhere)
        return elsewhere
    new = not data_dir.exists()
    data_dir.mkdir(parents=True, exist_ok=True)
    if new and os.geteuid() == 0:
        data_dir.chmod(0o711)
    _make(home)
    if choose(home / "cluster").can_enter(home):
        return home
    return _move(data_dir, pointer)


def _make(home: Path) -> None:
    """Make the home: closed to others, but where we are root the server's account must get through."""
    if not home.exists():
        home.mkdir(mode=0o700, exist_ok=True)
        home.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _move(data_dir: Path, pointer: Path) -> Path:
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    elsewhere = _ELSEWHERE / f"petition-{name}"
    _make(elsewhere)
    unfinished = pointer.with_name(f"{_POINTER}.{os.getpid()}")
    unfinished.write_text(f"{elsewhere}\n", encoding="utf-8")
    unfinished.replace(pointer)
    _log.warning("the database server's account cannot enter DATA_DIR; the database is in %s", elsewhere)
    return elsewhere
