"""``petition check`` looks at the way by which letters are signed by mail."""

from pathlib import Path

from petition.cli import check_mail_in
from petition.core.settings import Process, load
from tests.mail.dns_server import answering
from tests.running import environment

DOMAIN = "in.letters.example"


async def findings(folder: Path, **more: str) -> list[str]:
    settings = load(environment(folder, "postgresql:///none", 8000, **more), role=Process.WEB)
    return [finding async for finding in check_mail_in.findings(settings)]


async def test_nothing_without_mail(tmp_path: Path) -> None:
    assert await findings(tmp_path) == []


async def test_an_mx_record_is_looked_for(tmp_path: Path) -> None:
    records: dict[tuple[str, str], list[str] | str | None] = {
        (DOMAIN, "MX"): ["10 mx.letters.example."],
        ("other.example", "TXT"): ['"x"'],
        ("broken.example", "MX"): "SERVFAIL",
    }
    async with answering(records) as names:
        resolver = {"MX_RESOLVER": f"127.0.0.1:{names.port}"}
        assert await findings(tmp_path, MAIL_IN=DOMAIN, **resolver) == []
        for domain in ("missing.example", "other.example"):
            (finding,) = await findings(tmp_path, MAIL_IN=domain, **resolver)
            assert "has no MX record" in finding
        (finding,) = await findings(tmp_path, MAIL_IN="broken.example", **resolver)
        assert "does not say" in finding
        (finding,) = await findings(tmp_path, MAIL_IN=DOMAIN, MAIL_IN_DIR=str(tmp_path), **resolver)
        assert "no folders" in finding


async def test_without_a_resolver(tmp_path: Path) -> None:
    (finding,) = await findings(tmp_path, MAIL_IN=DOMAIN, MX_RESOLVER="off")
    assert "MX_RESOLVER is off" in finding
