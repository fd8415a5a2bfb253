"""Pin the newest versions that ``pyproject.toml`` allows: ``make requirements``.

``requirements.txt`` is what runs, with the build backend, so that the project itself installs without a download;
``requirements-dev.txt`` is all of that and what tests it. Each version comes with the hashes of all its files, so the
same two files serve every Python and every platform. Where the files came from is not written down. Run this with the
oldest Python that the project supports.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = (sys.executable, "-m", "piptools", "compile", "pyproject.toml")
OPTIONS = (
    "--quiet",
    "--upgrade",
    "--generate-hashes",
    "--build-deps-for=editable",
    "--strip-extras",
    "--allow-unsafe",
    "--annotation-style=line",
    "--no-header",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-trusted-host",
    "--no-emit-options",
)


def main() -> None:
    """Write both files. Raises ``CalledProcessError`` if no versions fit together."""
    compile_to("requirements.txt")
    compile_to("requirements-dev.txt", "--extra=dev", "--constraint=requirements.txt")


def compile_to(name: str, *more: str) -> None:
    """Write one file."""
    subprocess.run([*COMMAND, *OPTIONS, *more, f"--output-file={name}"], cwd=ROOT, check=True)  # noqa: S603 - our words


if __name__ == "__main__":
    main()
