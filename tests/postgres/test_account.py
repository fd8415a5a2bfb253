"""The embedded server's account as root: its own, shut off from all others; and folders that no other account reads."""

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from petition import postgres
from petition.core.errors import EmbeddedError, SettingsError
from petition.core.private_folders import make_private, open_private
from petition.core.secret_files import Secrets
from petition.postgres import account
from petition.postgres.account import Account
from petition.postgres.home import find_home
from tests.postgres.test_cluster import ask, gone

pytestmark = pytest.mark.filterwarnings("error")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has several accounts")
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def data_dir(open_folder: Path) -> Iterator[Path]:
    folder = open_folder / "data"
    yield folder
    gone(folder)


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


def can_read(folder: Path, uid: int, gid: int) -> bool:
    done = subprocess.run(
        ["/bin/ls", str(folder)], user=uid, group=gid, extra_groups=[gid], capture_output=True, cwd="/"
    )
    return done.returncode == 0


@needs_root
def test_the_server_has_an_account_of_its_own_that_no_other_process_has(data_dir: Path) -> None:
    with postgres.running(data_dir, fast=True) as url:
        assert ask(url, "SELECT 1") == 1
        home = find_home(data_dir)
        (uid,) = owners(home / "cluster")
        assert uid not in {0, NOBODY.pw_uid}
        with pytest.raises(KeyError):
            pwd.getpwuid(uid)
        assert Path(f"/proc/{postmaster(home)}").stat().st_uid == uid
        for folder in (data_dir, home, home / "cluster"):
            assert not can_read(folder, NOBODY.pw_uid, NOBODY.pw_gid)
            assert not stat.S_IMODE(folder.stat().st_mode) & 0o067


def postmaster(home: Path) -> int:
    return int((home / "cluster" / "postmaster.pid").read_text().split()[0])


@needs_root
def test_files_of_nobody_are_handed_over_once_with_their_rows(data_dir: Path) -> None:
    with postgres.running(data_dir, fast=True) as url:
        ask(url, "CREATE TABLE kept AS SELECT 42 AS number")
    gone(data_dir)
    home = find_home(data_dir)
    before = as_it_once_was(data_dir, home)
    with postgres.running(data_dir, fast=True) as url:
        assert ask(url, "SELECT number FROM kept") == 42
        assert owners(home / "cluster").isdisjoint({0, NOBODY.pw_uid})
        assert [stat.S_IMODE(path.stat().st_mode) for path in before] == [0o710, 0o710]


def as_it_once_was(data_dir: Path, home: Path) -> list[Path]:
    """Give the files of a cluster to ``nobody`` and open the folders around it, as earlier versions had them."""
    for path in (home / "cluster", *(home / "cluster").rglob("*")):
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    shutil.rmtree(home / "run", ignore_errors=True)
    for folder, mode in ((data_dir, 0o755), (home, 0o711)):
        os.chown(folder, 0, 0)
        folder.chmod(mode)
    return [data_dir, home]


@needs_root
@pytest.mark.parametrize("trick", ["link", "hard link", "foreign"])
def test_through_no_link_is_anything_given_away(open_folder: Path, trick: str) -> None:
    cluster, victim = open_folder / "cluster", open_folder / "victim"
    (cluster / "base").mkdir(parents=True)
    for path in (cluster, cluster / "base", cluster / "PG_VERSION"):
        path.exists() or path.write_text("18")
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    victim.write_text("root's")
    planted = cluster / "base" / "planted"
    if trick == "link":
        planted.symlink_to(victim)
    elif trick == "hard link":
        planted.hardlink_to(victim)
    else:
        planted.write_text("root's")
    with pytest.raises(EmbeddedError, match="has a file 'planted' that is not the server's own"):
        account.hand_over(cluster, Account(70_000, 70_000))
    assert victim.stat().st_uid == 0
    assert planted.lstat().st_uid == 0 or trick == "link"
    assert account.is_shared(cluster)  # PG_VERSION comes last, so the next start goes on
    planted.unlink()
    account.hand_over(cluster, Account(70_000, 70_000))
    assert owners(cluster) == {70_000}
    assert not account.is_shared(cluster)


@needs_root
def test_where_an_id_is_taken_or_not_there_the_next_one_serves(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = account.choose(open_folder / "cluster").uid
    assert account.choose(open_folder / "cluster").uid == first
    monkeypatch.setattr(account, "name_of", lambda uid: "taken" if uid == first else None)
    second = account.choose(open_folder / "cluster").uid
    assert second is not None
    assert second != first
    monkeypatch.setattr(account, "_is_mapped", lambda number: number < 65_536)
    third = account.choose(open_folder / "cluster").uid
    assert third is not None
    assert 61_184 <= third < 65_520
    monkeypatch.setattr(account, "_is_mapped", lambda _number: False)
    with pytest.raises(EmbeddedError, match="run petition as another user"):
        account.choose(open_folder / "cluster")


def test_a_folder_is_made_private_and_a_wide_one_is_narrowed(tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    wide.mkdir()
    for mode in (0o755, 0o711, 0o777, 0o750):
        wide.chmod(mode)
        make_private(wide)
        assert stat.S_IMODE(wide.stat().st_mode) == 0o700
    make_private(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    Secrets(wide).secret_keys()[0]
    assert stat.S_IMODE((wide / "secrets").stat().st_mode) == 0o700


@needs_root
def test_what_another_account_laid_into_a_wide_folder_is_refused(tmp_path: Path) -> None:
    wide, target = tmp_path / "wide", tmp_path / "target"
    wide.mkdir()
    target.mkdir()
    wide.chmod(0o777)
    (wide / "secrets").symlink_to(target)
    os.chown(wide / "secrets", NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)
    with pytest.raises(SettingsError, match="secrets belongs to another user"):
        Secrets(wide).secret_keys()[0]
    assert list(target.iterdir()) == []
    own = tmp_path / "own"  # of root, to a larger disk, say
    own.symlink_to(target)
    make_private(own)


@needs_root
def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(tmp_path, 1, 1)
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY.pw_uid)
    with pytest.raises(SettingsError, match="belongs to another user"):
        make_private(tmp_path)


def test_files_are_their_owners_alone_and_links_are_not_followed(tmp_path: Path) -> None:
    old, link = tmp_path / "serve.log", tmp_path / "worker.log"
    old.touch(0o644)
    os.close(open_private(old, os.O_WRONLY | os.O_CREAT))
    assert stat.S_IMODE(old.stat().st_mode) == 0o600
    link.symlink_to(old)
    with pytest.raises(OSError, match="symbolic"):
        open_private(link, os.O_WRONLY | os.O_CREAT)
