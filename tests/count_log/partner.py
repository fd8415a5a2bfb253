"""A partner's machine with the witness on it."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from petition.count_log import witness_bundle
from petition.count_log.cosignatures import WitnessKey
from petition.count_log.witness_files import read_key
from tests.running import SLUG, Installation


@dataclass
class Partner:
    """A partner's machine: the program as one file, a key, a state."""

    folder: Path
    site: Installation

    @property
    def key(self) -> Path:
        return self.folder / "witness.key"

    @property
    def state(self) -> Path:
        return self.folder / "witness.json"

    def install(self) -> None:
        (self.folder / witness_bundle.NAME).write_bytes(witness_bundle.content())

    async def run(self, *more: str, url: str = "") -> tuple[int, str]:
        """Run it as cron does; return the exit code, and what it prints."""
        files = "--key", str(self.key), "--state", str(self.state)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", witness_bundle.NAME, url or f"{self.site.base}/en/{SLUG}", *files, *more),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert "Traceback" not in err.decode()
        return process.returncode or 0, out.decode() + err.decode()

    @property
    def witness_key(self) -> WitnessKey:
        return read_key(self.key, None)[0].key
