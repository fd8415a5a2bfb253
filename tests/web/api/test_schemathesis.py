"""Schemathesis sends a running server requests that the document allows and forbids, and finds nothing wrong.

The stream of events is excluded, since it has no end; tests/web/test_count_stream.py is about it.
"""

import asyncio
import os
import sys
from pathlib import Path

from petition.web.api.docs import DOCUMENT
from tests.running import installation
from tests.web.public.test_signatories import fill

COMMAND = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"


async def test_nothing_is_found(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path, LIMIT_API="100000", LIMIT_READING="100000") as site:
        await fill(site, "Vera Novak", "Пётр Иванов", "Anna")
        arguments = ["run", site.base + DOCUMENT, "--checks", "all", "--max-examples", "20", "--seed", "1"]
        arguments += ["--exclude-path-regex", "/events$", "--no-color", "--generation-database", "none"]
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", COMMAND, *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        )
        printed, _ = await child.communicate()
    assert child.returncode == 0, printed.decode()
    assert b"Selected: 7/8" in printed, printed.decode()
