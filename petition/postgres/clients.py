"""PostgreSQL's own client programs, for backups: where they are, and how they are run."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode

from petition.core.errors import PetitionError, SettingsError
from petition.core.service_urls import DATABASE_FORM, parse_database
from petition.postgres.binaries import folders

_PARTS = re.compile(r"(\w+://)(?:([^:@/?]*)(?::([^@/?]*))?@)?([^?]*)(?:\?(.*))?", re.DOTALL)
# What the driver hands to the server, and libpq has no name for.
_OF_THE_SESSION = {"search_path", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"}


@dataclass(frozen=True, slots=True)
class Clients:
    """A folder with ``pg_dump``, ``pg_restore`` and ``psql``, and their major version."""

    folder: Path
    major: int

    async def run(self, name: str, *arguments: str, environ: dict[str, str] | None = None) -> str:
        """Run a program to its end; return what it printed. Raises ``PetitionError`` with the first line it wrote."""
        process = await asyncio.create_subprocess_exec(
            self.folder / name,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(environ or {}),
        )
        try:
            output, errors = await process.communicate()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        if process.returncode:
            lines = errors.decode(errors="replace").strip().splitlines() or [f"ended with {process.returncode}"]
            raise PetitionError(f"{name}: {lines[0].removeprefix(f'{name}: error: ')}")
        return output.decode(errors="replace")


def find_clients(major: int) -> Clients:
    """Return the oldest programs that are not older than a server of version ``major``. Raises ``PetitionError``."""
    suitable = [clients for folder in _folders() if (clients := _examine(folder)) and clients.major >= major]
    if not suitable:
        raise PetitionError(f"pg_dump and pg_restore {major} or newer are needed: install postgresql-client-{major}")
    return min(suitable, key=lambda clients: clients.major)


def libpq(url: str) -> tuple[str, dict[str, str]]:
    """Return the address of a database as libpq takes it, and the environment with the password.

    Arguments of programs can be read by other accounts of the machine. Raises ``SettingsError``.
    """
    parts = _PARTS.fullmatch(parse_database(url).url)
    if parts is None:
        raise SettingsError(DATABASE_FORM.format("DATABASE_URL"))
    scheme, user, password, rest, query = parts.groups()
    values = dict(parse_qsl(query or "", keep_blank_values=True))
    password = unquote(password) if password else values.pop("password", None)
    known = {
        "dbname" if name == "database" else name: value for name, value in values.items() if name not in _OF_THE_SESSION
    }
    address = f"{scheme}{user + '@' if user else ''}{rest}{'?' + urlencode(known) if known else ''}"
    return address, {"PGPASSWORD": password} if password else {}


def _folders() -> Iterator[Path]:
    on_path = shutil.which("pg_dump")
    if on_path:
        yield Path(on_path).parent
    yield from folders()


def _examine(folder: Path) -> Clients | None:
    if not all((folder / name).exists() for name in ("pg_dump", "pg_restore", "psql")):
        return None
    try:
        answer = subprocess.run(  # noqa: S603
            [folder / "pg_dump", "--version"], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    match = re.search(r"\) (\d+)", answer.stdout)
    return Clients(folder, int(match[1])) if match else None


def _environment(more: dict[str, str]) -> dict[str, str]:
    passed = ("PATH", "HOME", "LANG", "PGPASSFILE", "PGSERVICEFILE", "PGSSLMODE", "PGSSLROOTCERT")
    return {name: os.environ[name] for name in passed if name in os.environ} | more
