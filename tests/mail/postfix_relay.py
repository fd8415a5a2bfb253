"""A real Postfix on loopback: its own folder, its own ports, its own queue; it asks nothing of the machine's."""

import asyncio
import os
import pwd
import ssl
import subprocess
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mail.waiting import until
from tests.running import free_port

NAME = "relay.example"
SERVICES = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass
class Postfix:
    """A running Postfix that takes mail for ``example.org``."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """The address for ``SMTP_URLS``."""
        return f"smtp://127.0.0.1:{self.port}?starttls=1"

    def mails(self, box: str) -> list[bytes]:
        """Return what was delivered to a mailbox."""
        return [path.read_bytes() for path in sorted((self.folder / "mail" / box / "new").glob("*"))]

    def log(self) -> str:
        """Return what it has logged."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")


@asynccontextmanager
async def postfix(boxes: Sequence[str], *settings: str, services: str = "") -> AsyncIterator[Postfix]:
    """Run Postfix with mailboxes ``boxes`` at example.org and more lines for its ``main.cf`` and ``master.cf``."""
    assert os.geteuid() == 0, "Postfix changes its user: these tests need root"
    with tempfile.TemporaryDirectory(prefix="petition-test-") as name:
        its = Postfix(Path(name), free_port())
        its.folder.chmod(0o711)  # its processes enter it under another account
        _write(its, boxes, settings)
        with (its.folder / "conf" / "master.cf").open("a") as master:
            master.write(services)
        with (its.folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                "/usr/sbin/postfix", "-c", str(its.folder / "conf"), "start-fg", stdout=log, stderr=log
            )
        try:
            await until(lambda: "daemon started" in its.log() or process.returncode is not None)
            assert process.returncode is None, its.log()
            yield its
        finally:
            await _stop(its.folder, process)


async def _stop(folder: Path, process: Process) -> None:
    stop = await asyncio.create_subprocess_exec(
        "/usr/sbin/postfix", "-c", str(folder / "conf"), "stop", stderr=asyncio.subprocess.DEVNULL
    )
    await stop.wait()
    await process.wait()


def _write(its: Postfix, boxes: Sequence[str], settings: Sequence[str]) -> None:
    account = pwd.getpwnam("postfix")
    for name in ("conf", "queue", "data", "mail"):
        (its.folder / name).mkdir(mode=0o755)
    for name in ("data", "mail"):
        os.chown(its.folder / name, account.pw_uid, account.pw_gid)
    certificate(its.folder)
    lines = (
        "compatibility_level = 3.6",
        "maillog_file = /dev/stdout",
        f"config_directory = {its.folder}/conf",
        f"alternate_config_directories = {its.folder}/conf",
        f"queue_directory = {its.folder}/queue",
        f"data_directory = {its.folder}/data",
        "multi_instance_name = postfix-petition",
        f"myhostname = {NAME}",
        "mydestination =",
        "inet_interfaces = 127.0.0.1",
        "inet_protocols = ipv4",
        "mynetworks = 127.0.0.0/8",
        "virtual_mailbox_domains = example.org",
        f"virtual_mailbox_maps = inline:{{ {', '.join(f'{box}@example.org={box}/' for box in boxes)} }}",
        f"virtual_mailbox_base = {its.folder}/mail",
        f"virtual_uid_maps = static:{account.pw_uid}",
        f"virtual_gid_maps = static:{account.pw_gid}",
        "virtual_minimum_uid = 1",
        f"smtpd_tls_cert_file = {its.folder}/cert.pem",
        f"smtpd_tls_key_file = {its.folder}/key.pem",
        "smtpd_tls_security_level = encrypt",
        "smtpd_tls_received_header = yes",
        "smtpd_relay_restrictions = reject_unauth_destination",
        *settings,
    )
    (its.folder / "conf" / "main.cf").write_text("\n".join(lines) + "\n")
    (its.folder / "conf" / "master.cf").write_text(f"127.0.0.1:{its.port} inet n - n - - smtpd{SERVICES}")


def certificate(folder: Path, days: int = 2) -> ssl.SSLContext:
    """Make a certificate of its own in ``folder``; return the server's side of TLS with it."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", f"/CN={NAME}", "-days", str(days), "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
