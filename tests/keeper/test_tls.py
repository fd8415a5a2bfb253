"""Client and keeper over TLS: only the keeper whose certificate is believed is told anything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError, Unavailable
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.core.keeper_settings import read_keeper
from petition.keeper import server
from petition.keeper.settings import load
from tests.keeper import keepers
from tests.running import free_port

DISTRUSTED = "the keeper's certificate is not believed"
EXPIRED = "the keeper's certificate has expired: renew it"


@dataclass(frozen=True)
class Authority:
    """Who signs certificates, and a file of its own one."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    file: Path


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _unsigned(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
    )


def authority(folder: Path, name: str = "authority") -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    own = _unsigned(_named(name), key, _named(name), 10).add_extension(x509.BasicConstraints(True, None), critical=True)
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = own.add_extension(usage, critical=True).sign(key, hashes.SHA256())
    file = folder / f"{name}.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(key, certificate, file)


def issue(signer: Authority, folder: Path, name: x509.GeneralName, days: int = 5) -> dict[str, str]:
    """Return the keeper's settings with a certificate for ``name``."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _unsigned(_named("keeper"), key, signer.certificate.subject, days)
    builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
    certificate = builder.sign(signer.key, hashes.SHA256())
    cert_file, key_file = folder / "keeper.pem", folder / "keeper.key"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {"KEEPER_CERTIFICATE": str(cert_file), "KEEPER_CERTIFICATE_KEY": str(key_file)}


HERE = x509.IPAddress(ip_address("127.0.0.1"))


@asynccontextmanager
async def listening(folder: Path, **more: str) -> AsyncIterator[int]:
    """Run a keeper at a port of this machine."""
    port = free_port()
    environ = keepers.RunningKeeper(folder).environ | {"KEEPER_LISTEN": f"127.0.0.1:{port}", **more}
    stop = asyncio.Event()
    task = asyncio.create_task(server.run(load(environ), stop))
    try:
        async with asyncio.timeout(60):
            while True:
                assert not task.done(), task.result()
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.01)
                    continue
                writer.close()
                break
        yield port
    finally:
        stop.set()
        await task


def client_of(url: str) -> KeeperClient:
    return KeeperClient(read_keeper(EnvironmentReader({"KEEPER_URL": url, "KEEPER_TOKEN": keepers.TOKEN})))


async def ask(url: str) -> list[bytes]:
    """Ask for one digest. Raises ``Unavailable``."""
    async with client_of(url) as client:
        return (await client.ask({KeeperPurpose.CHECK: [b"\1" * 16]}))[1]["check"]


async def test_the_right_certificate_is_believed(tmp_path: Path) -> None:
    ours = authority(tmp_path)
    async with listening(tmp_path, **issue(ours, tmp_path, HERE)) as port:
        (digest,) = await ask(f"https://127.0.0.1:{port}?ca={ours.file}")
    assert len(digest) == 16


@pytest.mark.parametrize("fault", ["of another authority", "expired", "of another name", "without ca"])
async def test_no_other_certificate_is_believed(tmp_path: Path, fault: str) -> None:
    ours = authority(tmp_path)
    signer = authority(tmp_path, "stranger") if fault == "of another authority" else ours
    name = x509.DNSName("keeper.example") if fault == "of another name" else HERE
    settings = issue(signer, tmp_path, name, -1 if fault == "expired" else 5)
    query = "" if fault == "without ca" else f"?ca={ours.file}"
    async with listening(tmp_path, **settings) as port:
        with pytest.raises(Unavailable, match=EXPIRED if fault == "expired" else DISTRUSTED):
            await ask(f"https://127.0.0.1:{port}{query}")


async def test_neither_side_speaks_in_the_clear(tmp_path: Path) -> None:
    ours = authority(tmp_path)
    async with listening(tmp_path, **issue(ours, tmp_path, HERE)) as port:
        with pytest.raises(Unavailable):
            await ask(f"http://127.0.0.1:{port}")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /v1/counts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {keepers.TOKEN}\r\n\r\n".encode())
        assert b"200" not in await reader.read(1000)
        writer.close()
    plain_folder = tmp_path / "plain"
    plain_folder.mkdir()
    async with listening(plain_folder) as port:
        with pytest.raises(Unavailable):
            await ask(f"https://127.0.0.1:{port}?ca={ours.file}")


def test_another_machine_is_not_asked_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="https://"):
        client_of("http://keeper.example:8443")
    assert client_of("http://keeper.example:8443?plain=1").address is not None
    with pytest.raises(SettingsError, match="KEEPER_CERTIFICATE"):
        load(keepers.RunningKeeper(tmp_path).environ | {"KEEPER_LISTEN": "10.0.0.5:8443"})
