"""nginx and Caddy with the files in deploy/ as they stand, but for ports, names and paths."""

import asyncio
import contextlib
import os
import shutil
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from petition.core.resources import PACKAGE

DEPLOY = PACKAGE.parent / "deploy"
PATIENCE = 60  # seconds
_TIMESTAMPS = "1.3.6.1.4.1.11129.2.4.2"  # the extension with signed certificate timestamps (RFC 6962, 3.3)

NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/main.log info;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""
CADDY = """
{{
	admin off
	auto_https off
	storage file_system {folder}/caddy
}}
{site}
"""


def trusting() -> ssl.SSLContext:
    """Return a client's context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@asynccontextmanager
async def running(
    proxy: str, folder: Path, web_port: int, port: int, spare_port: int, *more_ports: int
) -> AsyncIterator[None]:
    """Run ``nginx`` (``nginx with its cache``) or ``caddy`` before the web until the block ends; TLS at ``port``.

    ``more_ports`` are those of further instances of the web.
    """
    write_certificate(folder)
    starters = {"nginx": _nginx, "nginx with its cache": _caching_nginx, "caddy": _caddy}
    command = starters[proxy](folder, (web_port, *more_ports), port, spare_port)
    with (folder / "proxy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"], "HOME": str(folder)}
        )
    try:
        await until_open(process, port, folder / "proxy.log")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE)


def _nginx(folder: Path, web_ports: Sequence[int], port: int, spare_port: int) -> list[str]:
    site = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for address in ("80", "443 ssl http2"):  # there may be no IPv6 here
        for more in ("", " default_server"):
            site = replace_text(site, f"    listen [::]:{address}{more};\n", "")
    servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in web_ports)
    site = replace_text(site, "server 127.0.0.1:8000 max_fails=0;", servers)
    site = replace_text(site, "listen 80", f"listen 127.0.0.1:{spare_port}")
    site = replace_text(site, "listen 443 ssl http2", f"listen 127.0.0.1:{port} ssl http2")
    site = site.replace("letters.example;", "localhost;")
    site = replace_text(site, "/etc/ssl/letters.example.pem", f"{folder}/cert.pem")
    site = replace_text(site, "/etc/ssl/letters.example.key", f"{folder}/key.pem")
    site = replace_text(site, "/var/log/nginx/letters.error.log", f"{folder}/site.log")
    (folder / "nginx.conf").write_text(whole_nginx(folder, site), encoding="utf-8")
    return [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]


def whole_nginx(folder: Path, site: str) -> str:
    """Return a whole configuration around what belongs into /etc/nginx/conf.d/."""
    user = "user root;" if os.geteuid() == 0 else ""
    return NGINX.format(user=user, folder=folder, site=site)


def _caching_nginx(folder: Path, web_ports: Sequence[int], port: int, spare_port: int) -> list[str]:
    command = _nginx(folder, web_ports, port, spare_port)
    cache = (DEPLOY / "nginx-cache.conf").read_text(encoding="utf-8")
    cache = replace_text(cache, "/var/cache/nginx/petition", f"{folder}/cache")
    whole = (folder / "nginx.conf").read_text(encoding="utf-8")
    (folder / "nginx.conf").write_text(replace_text(whole, "http {\n", f"http {{\n{cache}\n"), encoding="utf-8")
    return command


def _caddy(folder: Path, web_ports: Sequence[int], port: int, _spare_port: int) -> list[str]:
    site = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    tls = f"https://localhost:{port} {{\n\ttls {folder}/cert.pem {folder}/key.pem\n"
    site = replace_text(site, "letters.example {\n", tls)
    site = replace_text(site, "127.0.0.1:8000", " ".join(f"127.0.0.1:{port}" for port in web_ports))
    (folder / "Caddyfile").write_text(CADDY.format(folder=folder, site=site))
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def program(name: str) -> str:
    """Return where a program is: Debian keeps servers out of most accounts' path. tools/servers.sh installs it."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert path, f"{name} is not installed"
    return path


def replace_text(text: str, old: str, new: str) -> str:
    assert old in text, old
    return text.replace(old, new)


async def until_open(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    """Wait until a server takes connections. Fails with what it said if it ends."""
    async with asyncio.timeout(PATIENCE):
        while True:
            assert process.returncode is None, log.read_text()
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


def write_certificate(folder: Path) -> None:
    """Write a chain as public authorities issue it: ECDSA, one intermediate, signed timestamps of some 240 bytes."""
    authority, key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
    intermediate = _certificate("An Intermediate Authority", "A Root Authority", authority, authority, 400)
    leaf = _certificate("localhost", "An Intermediate Authority", key, authority, 400)
    (folder / "cert.pem").write_bytes(leaf + intermediate)
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(encoded)


def _certificate(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, more: int
) -> bytes:
    """Return a certificate in PEM; ``more`` bytes stand for timestamps, policies and addresses."""
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(_name(issuer), _name(name), key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    names, stamps = (
        x509.SubjectAlternativeName([x509.DNSName("localhost")]),
        x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"),
    )
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.UnrecognizedExtension(stamps, os.urandom(more)), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
