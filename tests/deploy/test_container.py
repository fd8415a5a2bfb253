"""What the compose file asks for, with the kernel's own means: a root that cannot be written to, and no rights at all.

An image needs a registry to build on; the processes in it are these.
"""

import asyncio
import contextlib
import os
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import httpx2

from petition.demo.inbox import Inbox, receiving
from tests.conftest import fresh_database
from tests.deploy.test_files import compose
from tests.faults.processes import PATIENCE, ROOT, Process
from tests.running import PRIVATE_KEY, environment, free_port
from tests.test_procfile import walk_the_road

if TYPE_CHECKING:
    from tests.conftest import Conn

# The scratch folder stands for /tmp of the container: of the machine's own, programs and tests may be in it.
CLOSE = """
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=1777 tmpfs "$TMPDIR"
for point in $(cut -d ' ' -f 2 /proc/self/mounts | sort -u); do
    [ "$point" = "$TMPDIR" ] || mount -o remount,bind,ro "$point" 2>/dev/null || true
done
for folder in / /tmp /var "$HOME"; do
    if touch "$folder/written" 2>/dev/null; then echo "$folder can be written to"; exit 9; fi
done
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""


@asynccontextmanager
async def by_tcp(url: str) -> AsyncIterator[str]:
    """Give an address of the database as containers reach it; its socket is closed to an account without rights."""
    parts = urlsplit(url)
    where = dict(parse_qsl(parts.query))
    path = f"{where['host']}/.s.PGSQL.{where['port']}"

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(path)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?plain=1"


@asynccontextmanager
async def contained(environ: dict[str, str], folder: Path, *arguments: str) -> AsyncIterator[Process]:
    """Run the command as in the container until the block ends."""
    scratch = folder / f"scratch-{arguments[0]}"
    scratch.mkdir()
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder), "TMPDIR": str(scratch)}
    own |= environ | {"DATA_DIR": f"{scratch}/petition", "PYTHONDONTWRITEBYTECODE": "1"}
    line = shlex.join([sys.executable, "-m", "petition", *arguments])
    # Who is not root is root of a user namespace of their own, which gives no rights outside of it.
    spaces = ("--mount",) if os.geteuid() == 0 else ("--mount", "--user", "--map-root-user")
    log = folder / f"{arguments[0]}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *("unshare", *spaces, "sh", "-c", CLOSE, "sh", "sh", "-c", f"exec {line}"),
            env=own,
            cwd="/",
            stdout=output,
            stderr=output,
        )
    running = Process(process, log)
    try:
        yield running
    finally:
        code = await running.stop()
    assert code == 0, log.read_text()


async def test_web_and_worker_need_no_rights_and_a_root_that_is_read_only(
    cluster: str, admin: "Conn", published: str, tmp_path: Path
) -> None:
    for name in ("web", "web2", "worker"):
        service = compose()["services"][name]
        assert (service["read_only"], service["tmpfs"], service["cap_drop"]) == (True, ["/tmp"], ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
    port, inbox = free_port(), Inbox()
    async with (
        fresh_database(cluster, admin, published) as url,
        by_tcp(url) as address,
        receiving(inbox) as smtp_port,
    ):
        environ = environment(tmp_path, address, port, BASE_URL=f"http://localhost:{port}", CAPTCHA="off")
        mail = {"SMTP_URLS": f"smtp://127.0.0.1:{smtp_port}", "MAIL_FROM": "letters@letters.example"}
        async with (
            asyncio.timeout(PATIENCE),
            contained(environ, tmp_path, "serve", "--workers", "2") as web,
            contained(environ | mail | {"CONTACT_PRIVATE_KEY": PRIVATE_KEY}, tmp_path, "worker"),
            httpx2.AsyncClient(base_url=environ["BASE_URL"], timeout=60) as client,
        ):
            await walk_the_road(client, inbox)
            status = Path(f"/proc/{web.process.pid}/status").read_text()
            rights = dict(line.split(":\t", 1) for line in status.splitlines())
            assert int(rights["CapEff"], 16) == int(rights["CapBnd"], 16) == 0
            assert rights["NoNewPrivs"] == "1"
    for name in ("serve", "worker"):
        said = (tmp_path / f"{name}.log").read_text()
        assert '"level": "error"' not in said, said
        assert "can be written to" not in said
