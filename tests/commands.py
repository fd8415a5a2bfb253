"""``petition …`` called in the test's own process, which takes no second to import everything."""

import asyncio
import io
import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

from petition.cli.main import main
from petition.core.resources import PACKAGE

ENVIRON = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE.parent), "PYTHONWARNINGS": "error"}
Done = CompletedProcess[str]


def called(*arguments: str, **environ: str) -> Done:
    """Call the command with nothing in its environment but ``environ``; return its exit code and what it said."""
    output, errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with patch.dict(os.environ, ENVIRON | environ, clear=True), redirect_stdout(output), redirect_stderr(errors):
        try:
            code: object = main(arguments)
        except SystemExit as end:  # wrong usage
            code = end.code
    output.seek(0)
    assert isinstance(code, int)
    return Done(arguments, code, output.read(), errors.getvalue())


async def run(arguments: str, environ: Mapping[str, str]) -> tuple[int, str]:
    """Do the same beside this loop, with both outputs in one."""
    done = await asyncio.to_thread(called, *arguments.split(), **environ)
    return done.returncode, done.stdout + done.stderr
