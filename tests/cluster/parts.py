"""The programs on the machines: etcd, Patroni with PostgreSQL, HAProxy, PgBouncer, Varnish, nginx, ours. No systemd."""

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import aiohttp
import asyncpg

from petition.core.resources import PACKAGE
from tests.cluster import machine_files
from tests.cluster.machine_files import HOST, NODES, PASSWORD
from tests.cluster.network import Network, address
from tests.cluster.visitors import SMTP_PORT
from tests.deploy.proxies import write_certificate
from tests.running import KEY, PRIVATE_KEY, PUBLIC_KEY, SAMPLE

ACCOUNT = "postgres"  # neither PostgreSQL nor PgBouncer runs as root
WEB_PORT = 8000
CACHE_PORT = 6081  # on the proxy's machine
PATIENCE = 60.0  # seconds for a part to come up
POLL = 0.1
NO_PAGES = ("/healthz", "/readyz", "/metrics")
# Thousands of people sign in minutes from one domain: the drill is about machines, not about limits.
LIMITS = {f"LIMIT_{name}": "10000000" for name in ("NETWORK", "LETTER", "DOMAIN", "MAIL_HOST", "FORMS", "READING")}
# The three ways to the primary that the handbook describes: HAProxy, PgBouncer before it, and a list of hosts.
BY_BALANCER = f"postgresql://petition:{PASSWORD}@127.0.0.1:5000/petition"
BY_POOLER = f"postgresql://petition:{PASSWORD}@127.0.0.1:6432/petition?statement_cache_size=0"
BY_HOSTS = (
    f"postgresql://petition:{PASSWORD}@{','.join(map(address, NODES))}/petition?target_session_attrs=primary&plain=1"
)
WEBS = ("web1", "web2")
OURS = {"web1": BY_POOLER, "web2": BY_HOSTS, "worker": BY_BALANCER}


class Parts:
    """Starts the programs and asks them; their logs are in a folder for each machine."""

    def __init__(self, net: Network, folder: Path, *, is_synchronous: bool) -> None:
        self.net = net
        self._folder = folder
        self._is_synchronous = is_synchronous

    def folder(self, machine: str) -> Path:
        """Return the folder of ``machine``, which belongs to the servers' account."""
        folder = self._folder / machine
        if not folder.exists():
            folder.mkdir()
            account = pwd.getpwnam(ACCOUNT)
            os.chown(folder, account.pw_uid, account.pw_gid)
        return folder

    def start(
        self,
        machine: str,
        name: str,
        command: list[str],
        *,
        environ: Mapping[str, str] | None = None,
        is_root: bool = False,
    ) -> "subprocess.Popen[bytes]":
        """Start a program on ``machine``; the network ends it."""
        path = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "HOME": str(self.folder(machine)), "LANG": "C.UTF-8"}
        with (self.folder(machine) / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*self.net.command(machine, None if is_root else ACCOUNT), *command],
                env=path | dict(environ or {}), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            )  # fmt: skip

    # The database

    def start_etcd(self, node: str) -> None:
        file = self._write(node, "etcd.yaml", machine_files.etcd(node, self.folder(node)))
        self.start(node, "etcd", ["etcd", "--config-file", str(file)], environ={"ETCD_LOG_LEVEL": "warn"})

    def start_patroni(self, node: str) -> None:
        text = machine_files.patroni(node, self.folder(node), is_synchronous=self._is_synchronous)
        self.start(node, "patroni", ["patroni", str(self._write(node, "patroni.yaml", text))])

    def _write(self, machine: str, name: str, text: str) -> Path:
        file = self.folder(machine) / name
        file.write_text(text, encoding="utf-8")
        account = pwd.getpwnam(ACCOUNT)
        os.chown(file, account.pw_uid, account.pw_gid)
        return file

    async def start_database(self) -> None:
        """Start three machines with etcd and PostgreSQL; return when all replicas follow the primary."""
        for node in NODES:
            self.start_etcd(node)
        self.start_patroni(NODES[0])
        await self.until("the first primary", self._has_primary)
        for node in NODES[1:]:
            self.start_patroni(node)
        await self.until_whole()
        await self._create_database()

    async def _has_primary(self) -> bool:
        return await self.primary() is not None

    async def _create_database(self) -> None:
        conn = await asyncpg.connect(
            host=address(await self.leader()), user="postgres", password=PASSWORD, database="postgres", timeout=10
        )
        await conn.execute(f"CREATE ROLE petition LOGIN PASSWORD '{PASSWORD}'")
        await conn.execute("CREATE DATABASE petition OWNER petition ENCODING 'UTF8' TEMPLATE template0")
        await conn.close()

    async def state(self, node: str) -> dict[str, object]:
        """Return what Patroni on ``node`` says of itself; nothing if it does not answer."""
        timeout = aiohttp.ClientTimeout(total=1)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://{address(node)}:8008/patroni") as answer,
            ):
                content: dict[str, object] = json.loads(await answer.text())
                return content
        return {}

    async def primary(self) -> str | None:
        """Return the machine whose PostgreSQL takes writes, by Patroni's word."""
        states = await asyncio.gather(*map(self.state, NODES))
        names = [
            node
            for node, state in zip(NODES, states, strict=True)
            if state.get("role") == "master" and state.get("state") == "running"
        ]
        return names[0] if len(names) == 1 else None

    async def leader(self) -> str:
        """Wait for the one primary and return its machine."""
        await self.until("a primary", self._has_primary)
        name = await self.primary()
        assert name is not None
        return name

    async def until_whole(self) -> None:
        """Wait until all three run, two of them follow the first, and one of these is the synchronous one."""
        await self.until("two replicas that follow", self._is_whole)

    async def _is_whole(self) -> bool:
        primary = await self.primary()
        if primary is None:
            return False
        lines = (await self.state(primary)).get("replication") or []
        assert isinstance(lines, list)
        streaming = [line for line in lines if line["state"] == "streaming"]
        has_synchronous = any(line["sync_state"] == "sync" for line in streaming)
        return len(streaming) == len(NODES) - 1 and has_synchronous == self._is_synchronous

    async def until(self, name: str, is_so: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> None:
        """Wait until a condition holds. Raises ``TimeoutError`` that says which."""
        try:
            async with asyncio.timeout(seconds):
                while not await is_so():
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise TimeoutError(f"waited {seconds:.0f} s for {name}") from None

    # Ours, and what stands before them

    def environ(self, machine: str) -> dict[str, str]:
        """Return the settings of a process of ours on ``machine``."""
        return {
            "DATABASE_URL": OURS[machine],
            "DATA_DIR": str(self.folder(machine)),
            "BASE_URL": f"https://{HOST}",
            "CONTROLLER": "The drill <drill@letters.test>",
            "SECRET_KEY": KEY,
            "CONTACT_PUBLIC_KEY": PUBLIC_KEY,
            "TRUSTED_PROXIES": f"{address('proxy')},127.0.0.1",
            "MX_RESOLVER": "off",
            "METRICS_TOKEN": PASSWORD,
            "CACHE_PURGE_URLS": f"http://{address('proxy')}:{CACHE_PORT}?plain=1",
            "CACHE_PURGE_TOKEN": PASSWORD,
            "PYTHONPATH": str(PACKAGE.parent),
            **LIMITS,
        }

    def command(self, machine: str, *arguments: str) -> str:
        """Run one of our commands on ``machine`` to its end; return what it said. Raises ``CalledProcessError``."""
        path = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "CONTACT_PRIVATE_KEY": PRIVATE_KEY}
        done = subprocess.run(
            [*self.net.command(machine), sys.executable, "-m", "petition", *arguments],
            env=path | self.environ(machine), capture_output=True, text=True, cwd="/", check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"petition {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def start_ways(self) -> None:
        """Start HAProxy on the machines of ours, and PgBouncer on the first."""
        for machine in OURS:
            balancer = self._write(machine, "haproxy.cfg", machine_files.haproxy())
            self.start(machine, "haproxy", ["haproxy", "-db", "-f", str(balancer)])
        pooler = self._write("web1", "pgbouncer.ini", machine_files.pgbouncer(self.folder("web1")))
        # Started again whenever it ends, as its unit does with Restart=always: 1.18 ends with "bad client state" when a
        # request to cancel a statement meets a server that goes away.
        loop = 'while :; do pgbouncer "$0"; sleep 0.5; done'
        self.start("web1", "pgbouncer", ["sh", "-c", loop, str(pooler)])

    async def publish(self) -> None:
        """Migrate and publish the sample letter, through the pooler."""
        await self.until("the pooler", self._pooler_answers)
        self.command("web1", "migrate")
        self.command("web1", "letter", "import", str(SAMPLE), "--publish")

    async def _pooler_answers(self) -> bool:
        command = [*self.net.command("web1"), "psql", "-qAtc", "SELECT 1", BY_POOLER.partition("?")[0]]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "PGCONNECT_TIMEOUT": "2"},
        )  # fmt: skip
        said, _ = await process.communicate()
        return said.strip() == b"1"

    async def start_webs(self) -> None:
        """Start two web machines, each by its own way to the primary, a worker, and the proxy; wait for them."""
        ours = [sys.executable, "-m", "petition"]
        for machine in WEBS:
            serve = ["serve", "--host", address(machine), "--port", str(WEB_PORT)]
            self.start(machine, "web", [*ours, *serve], environ=self.environ(machine), is_root=True)
        mail = {
            "CONTACT_PRIVATE_KEY": PRIVATE_KEY,
            "SMTP_URLS": f"smtp://{address('visitors')}:{SMTP_PORT}?plain=1&connections=16",
            "MAIL_FROM": "Letters <letters@letters.test>",
        }
        self.start("worker", "worker", [*ours, "worker"], environ=self.environ("worker") | mail, is_root=True)
        self._start_proxy()
        for machine in WEBS:
            await self.until(f"{machine} to be ready", partial(self._is_ready, machine))
        await self.until("the proxy and its cache", self._is_served)

    def _start_proxy(self) -> None:
        folder = self.folder("proxy")
        write_certificate(folder)
        cache = self._write(
            "proxy", "petition.vcl", machine_files.varnish([f"{address(web)}:{WEB_PORT}" for web in WEBS])
        )
        varnishd = ["varnishd", "-F", "-j", "none", "-n", str(folder / "varnish"), "-f", str(cache)]
        varnishd += ["-a", f"0.0.0.0:{CACHE_PORT}", "-s", "malloc,64m", "-p", "http_gzip_support=off"]
        self.start("proxy", "varnish", varnishd, is_root=True)
        text = machine_files.nginx(folder, [f"127.0.0.1:{CACHE_PORT}"])
        file = self._write("proxy", "nginx.conf", text)
        self.start("proxy", "nginx", ["nginx", "-p", str(folder), "-c", str(file)], is_root=True)

    async def requests_answered(self) -> float:
        """Return how many requests for pages both webs have answered, by their metrics."""
        return sum([await self._answered(machine) for machine in WEBS])

    async def _answered(self, machine: str) -> float:
        headers = {"authorization": f"Bearer {PASSWORD}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"http://{address(machine)}:{WEB_PORT}/metrics") as answer,
        ):
            lines = (await answer.text()).splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith("petition_requests_total{") and not any(path in line for path in NO_PAGES)
        )

    async def _is_served(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
                session.get(f"http://{address('proxy')}:{CACHE_PORT}/sitemap.xml", headers={"host": HOST}) as answer,
            ):
                return answer.status == 200
        return False

    async def replicate_asynchronously(self) -> None:
        """Have commits acknowledged before a second machine has them; return when that is so."""
        url = f"http://{address(await self.leader())}:8008/config"
        async with aiohttp.ClientSession() as session, session.patch(url, json={"synchronous_mode": False}) as answer:
            assert answer.status == 200, await answer.text()
        self._is_synchronous = False
        await self.until_whole()

    async def _is_ready(self, machine: str) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
                session.get(f"http://{address(machine)}:{WEB_PORT}/readyz") as answer,
            ):
                return answer.status == 200
        return False


def missing_programs() -> list[str]:
    """Return which programs are not here (tools/cluster.sh installs them)."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    names = ("etcd", "patroni", "haproxy", "pgbouncer", "varnishd", "nginx", "ip", "setpriv")
    return [name for name in names if shutil.which(name, path=path) is None]
