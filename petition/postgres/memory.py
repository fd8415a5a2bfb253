"""How much memory the machine has, or the container or unit we run in: the size of the server's buffers follows."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MIB = 1024 * 1024
PART = 8  # the server's buffers take one in so many; systems with nothing but a database give it a quarter
MIN_MIB, MAX_MIB = 128, 4096  # MiB


def buffers_size(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the MiB of shared buffers for a server that is not alone on its machine.

    The indexes that signing writes to at random places want to be in them: with 128 MiB confirming at ten million
    signatures has two thirds of its speed (docs/performance.md).
    """
    available = min((_of_machine(), *_limits(proc, groups)))
    return max(MIN_MIB, min(MAX_MIB, available // PART // MIB))


def _of_machine() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limits(proc: Path, groups: Path) -> Iterator[int]:
    """Yield the limits (bytes) of our control group and of all above it, in either version's files."""
    with suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds and "memory" not in kinds.split(","):
                continue
            root, name = (groups / "memory", "memory.limit_in_bytes") if kinds else (groups, "memory.max")
            own = root / path.lstrip("/")
            for folder in (own, *own.parents):
                with suppress(OSError, ValueError):  # no limit: no file, or the word "max"
                    yield int((folder / name).read_text(encoding="ascii"))
                if folder == root:
                    break
