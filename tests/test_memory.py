"""Databases of tests lie in memory where there is some, and nothing of them stays there."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import memory


def test_a_folder_goes_with_its_run(tmp_path: Path) -> None:
    with memory.room(tmp_path, needed=1) as folder:
        assert folder is not None
        (folder / "file").touch()
        with memory.room(tmp_path, needed=1) as another:  # two runs at once leave each other alone
            assert another not in {folder, None}
        assert (folder / "file").exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    killed = f"""
import os, pathlib
from tests.memory import room
with room(pathlib.Path({str(tmp_path)!r}), needed=1) as folder:
    (folder / "file").touch()
    os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", killed], cwd=Path(memory.__file__).parents[1], check=False)
    assert done.returncode == -9
    assert len(list(tmp_path.iterdir())) == 2
    with memory.room(tmp_path, needed=1) as folder:
        assert [each.suffix for each in tmp_path.iterdir()].count(".lock") == 1
        assert folder is not None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("where", "needed"), [("nowhere", 1), (".", 1 << 60)])
def test_where_there_is_none_the_disk_serves(tmp_path: Path, where: str, needed: int) -> None:
    with memory.room(tmp_path / where, needed) as folder:
        assert folder is None
