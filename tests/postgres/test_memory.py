"""The embedded server's buffers follow the memory of the machine, and of the container or unit around us."""

import os
from pathlib import Path

import pytest

from petition.postgres.memory import MAX_MIB, MIB, MIN_MIB, buffers_size

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB
V2, V1 = "0::{path}\n", "5:cpu,cpuacct:/\n7:memory:{path}\n"


def _size(folder: Path, groups: str, limits: dict[str, str]) -> int:
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "cgroup").write_text(groups)
    for name, limit in limits.items():
        file = folder / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")
    return buffers_size(folder / "proc", folder / "groups")


@pytest.mark.parametrize(
    ("groups", "limits", "size"),
    [
        (V2.format(path="/"), {"memory.max": str(2048 * MIB)}, 256),  # in a container
        (V2.format(path="/a/web.service"), {"a/web.service/memory.max": str(1600 * MIB)}, 200),
        (V2.format(path="/a/web.service"), {"a/web.service/memory.max": "max", "a/memory.max": str(1600 * MIB)}, 200),
        (V2.format(path="/a"), {"a/memory.max": str(300 * MIB)}, MIN_MIB),
        (V1.format(path="/a"), {"memory/a/memory.limit_in_bytes": str(1200 * MIB)}, 150),
        (V2.format(path="/a"), {"a/memory.max": "max"}, max(MIN_MIB, min(MAX_MIB, MACHINE // 8))),
        (V2.format(path="/gone"), {}, max(MIN_MIB, min(MAX_MIB, MACHINE // 8))),
        ("", {}, max(MIN_MIB, min(MAX_MIB, MACHINE // 8))),
    ],
)
def test_the_narrowest_limit_counts(groups: str, limits: dict[str, str], size: int, tmp_path: Path) -> None:
    assert _size(tmp_path, groups, limits) == min(size, max(MIN_MIB, MACHINE // 8))


def test_without_proc_it_is_the_machine(tmp_path: Path) -> None:
    assert buffers_size(tmp_path, tmp_path) == max(MIN_MIB, min(MAX_MIB, MACHINE // 8))
