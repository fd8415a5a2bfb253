"""Old releases, out of the history of this repository, as they were: their code, with the packages of today."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from petition.core.resources import PACKAGE

CHECKOUT = PACKAGE.parent


@dataclass(frozen=True)
class Release:
    """A commit that somebody may run, and the number of its newest migration."""

    commit: str
    schema: int
    # Confirming asks for all columns of a row, so that a new one of ``count`` (0052) costs a process some 500s: each
    # connection to the database learns of it by an error. Nothing is lost; the second try succeeds.
    asks_for_whole_rows: bool = True

    def __str__(self) -> str:
        return f"{self.commit} ({self.schema:04})"

    def unpack(self, folder: Path) -> Path:
        """Write its code to ``folder``; return that."""
        folder.mkdir()
        archive = subprocess.run(
            ["git", "-C", str(CHECKOUT), "archive", self.commit, "petition", "templates", "locales", "migrations"],
            capture_output=True,
            check=True,
        )
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
        return folder


# Newest first: what somebody may still run. A release that others install is added here.
RECORD = (
    Release("2033dc96", 51),
    Release("84e1b697", 40),
    Release("fc3a4d42", 27),
    Release("fe441837", 19),
    Release("d88ecd49", 11),
    Release("cd6f04bb", 3),
)


def is_known(commit: str) -> bool:
    """Return whether the history that is here has it: a shallow clone has none."""
    command = ["git", "-C", str(CHECKOUT), "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def is_shallow() -> bool:
    command = ["git", "-C", str(CHECKOUT), "rev-parse", "--is-shallow-repository"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode != 0 or done.stdout.strip() == "true"
