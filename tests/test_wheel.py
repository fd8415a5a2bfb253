"""A wheel built from the checkout and installed elsewhere is the whole thing: it runs its demo from another folder."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from petition.core.database import schema_number
from petition.core.resources import PACKAGE
from petition.demo.sample import slug
from tests.postgres.test_cluster import gone
from tests.running import free_port

CHECKOUT = PACKAGE.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, without a download."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=CHECKOUT)
    (built,) = folder.glob("petition-*.whl")
    return built


@pytest.fixture(scope="module")
def petition(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, and it alone, into an environment that finds what it needs in ours; give its command."""
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "pip",
        f"--python={python}",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        str(wheel),
        cwd=folder,
    )
    (packages,) = folder.glob("lib/python3*/site-packages")
    # A path file of ours is not followed further, so a petition that is installed for editing there stays unseen.
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "petition"


def run(*command: str, cwd: Path, **environ: str) -> str:
    """Run a command; return what it said. Raises ``AssertionError`` if it failed."""
    done = subprocess.run(command, cwd=cwd, env=clean(environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def clean(environ: dict[str, str]) -> dict[str, str]:
    """Return an environment in which nothing leads back to the checkout."""
    return {"PATH": os.environ["PATH"], "LANG": "C", "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | environ


def test_what_travels(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("templates", "locales", "migrations", "petition/static", "petition/sample", "petition"):
        inside = f"petition/{folder}".replace("petition/petition", "petition")
        files = {
            each.relative_to(CHECKOUT / folder).as_posix()
            for each in (CHECKOUT / folder).rglob("*")
            if each.is_file() and "__pycache__" not in each.parts
        }
        assert files, folder
        assert {f"{inside}/{each}" for each in files} <= names
    tops = {name.split("/")[0] for name in names}
    assert {re.sub(r"-.*\.", ".", top) for top in tops} == {"petition", "petition.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_command_is_the_wheels(petition: Path, tmp_path: Path) -> None:
    assert run(str(petition), "--help", cwd=tmp_path).startswith("usage: petition")
    where = run(str(petition.parent / "python"), "-c", "import petition; print(petition.__file__)", cwd=tmp_path)
    assert where.startswith(str(petition.parent.parent))


def test_it_knows_its_migrations(petition: Path, tmp_path: Path, database_url: str) -> None:
    environ = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}
    assert run(str(petition), "migrate", cwd=tmp_path, **environ) == "nothing to do\n"


def test_it_runs_its_demo(petition: Path, open_folder: Path) -> None:
    port = free_port()
    with (
        demo(petition, open_folder, port),
        httpx2.Client(base_url=f"http://localhost:{port}", trust_env=False) as client,
    ):
        for lang, word in (("en", "Sign"), ("ru", "Подпис")):
            page = client.get(f"/{lang}/{slug()}")
            assert page.status_code == 200
            assert word in page.text
        for script in re.findall(r'src="(/static/[^"]+)"', page.text):
            assert client.get(script).status_code == 200


def test_a_newer_wheel_is_an_upgrade(wheel: Path, tmp_path: Path) -> None:
    older, folder = older_wheel(tmp_path), tmp_path / "venv"
    assert older.name != wheel.name
    venv.create(folder, with_pip=False, symlinks=True)
    python, packages = folder / "bin" / "python", next(folder.glob("lib/python3*/site-packages"))
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for path in (older, wheel):
        pip = [sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet", "--no-deps", "--no-index"]
        run(*pip, str(path), cwd=folder)
        version = run(str(folder / "bin" / "petition"), "--version", cwd=tmp_path)
        assert version == f"petition {path.name.split('-')[1]}, schema {schema_number()}\n"


def older_wheel(folder: Path) -> Path:
    """Build a wheel of the same files, committed years ago."""
    source = folder / "source"
    for name in ("petition", "templates", "locales", "migrations"):
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source)
    who = {f"GIT_{role}_{part}": "a@b" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    run("git", "init", "--quiet", cwd=source)
    run(
        "git",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "x",
        cwd=source,
        GIT_COMMITTER_DATE="2024-02-03T04:05Z",
        **who,
    )
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=source)
    (wheel,) = folder.glob("petition-*.whl")
    assert wheel.name.startswith("petition-2024.2.3.40500-")
    return wheel


@contextmanager
def demo(petition: Path, folder: Path, port: int) -> Iterator[None]:
    """Run the demo in ``folder`` until it says where it is; end it by Ctrl-C in the end."""
    process = subprocess.Popen(
        [str(petition), "demo", "--port", str(port), "--data", "data"],
        cwd=folder,
        env=clean({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        assert f"http://localhost:{port}/en/{slug()}" in said, process.communicate()
        yield
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("", "")
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
        gone(folder / "data")
