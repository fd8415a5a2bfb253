"""The version: the time of the commit that this was built from, as 2026.11.30.5116 for 00:51:16 UTC on that day.

So it rises with every build by itself, and installing a newer wheel is an upgrade for pip. The build
runs this file by itself (pyproject.toml), so it imports nothing of ours.
"""

import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
# `git archive` replaces this (.gitattributes), so that an unpacked archive knows its version too.
ARCHIVED = "$Format:%ct$"
UNKNOWN = "0"


@cache
def version() -> str:
    """Return the version of the running code; "0" if nothing says which it is."""
    if ARCHIVED.isdecimal():
        return version_at(int(ARCHIVED))
    return _of_checkout() or _of_files() or _of_installation() or UNKNOWN


def version_at(seconds: int) -> str:
    """Return the version of a commit made so many seconds after 1970."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at:%Y}.{at.month}.{at.day}.{int(f'{at:%H%M%S}')}"


def _of_checkout() -> str | None:
    if not (CHECKOUT / ".git").exists():
        return None
    # The checkout may be another account's, as in a container: only the time of a commit is read.
    command = ["git", "-c", "safe.directory=*", "-C", str(CHECKOUT), "log", "-1", "--format=%ct"]
    try:
        seconds = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    return version_at(int(seconds)) if seconds.isdecimal() else None


def _of_files() -> str | None:
    """Return the version of a copy of the checkout without its history: the time of its newest file."""
    if not (CHECKOUT / "pyproject.toml").exists():
        return None
    folders = (CHECKOUT / name for name in ("petition", "templates", "locales", "migrations"))
    return version_at(int(max(path.stat().st_mtime for folder in folders for path in folder.rglob("*.*"))))


def _of_installation() -> str | None:
    try:
        return metadata.version("petition")
    except metadata.PackageNotFoundError:
        return None
