"""A wrong secret is named by the command, at start-up and by /readyz, before a reader meets it."""

from pathlib import Path

import httpx2
import pytest

from petition.core import startup
from petition.core.encryption import new_contact_pair
from petition.core.errors import SettingsError
from petition.core.settings import Process, load
from petition.demo.inbox import receiving
from tests.commands import called, run
from tests.faults.processes import run as run_process
from tests.running import KEY, NO_TLS, PRIVATE_KEY, SLUG, Installation, free_port, installation, serving

OTHER = "another secret key of the tests, long enough too"
SENTENCE = "SECRET_KEY is not the one that encrypted this database's keys"
MAIL = {"MAIL_FROM": "post@letters.example", "CONTACT_PRIVATE_KEY": PRIVATE_KEY, "CAPTCHA": "off"}


@pytest.mark.parametrize("command", ["serve --port {port}", "serve --port {port} --workers 2", "worker"])
async def test_no_process_starts_with_another_secret(site: Installation, command: str) -> None:
    environ = site.environ | MAIL | {"SMTP_URLS": "smtp://127.0.0.1:9", "SECRET_KEY": OTHER}
    code, output = await run_process(command.format(port=free_port()), environ)
    assert (code, output.count("\n")) == (1, 1)
    assert output.startswith(f"petition: {SENTENCE}")
    assert OTHER not in output


async def test_check_names_the_secret_and_the_letters(site: Installation) -> None:
    async with receiving(site.inbox) as smtp_port:
        environ = site.environ | MAIL | {"SMTP_URLS": f"smtp://127.0.0.1:{smtp_port}"}
        code, output = await run("check", environ | {"SECRET_KEY": OTHER})
        assert code == 1
        assert f"database: {SENTENCE}" in output
        code, output = await run("check", environ | {"SECRET_KEY": OTHER, "OLD_SECRET_KEYS": KEY})
        assert SENTENCE not in output
        # Only an older letter has keys under a secret that is not configured any more.
        async with site.database.connection() as conn:
            await conn.execute(
                "INSERT INTO letter (slug, state, rules_version, wrapped_name_key)"
                " SELECT 'newer', 'draft', rules_version, wrapped_name_key FROM letter"
            )
            await conn.execute("UPDATE letter SET wrapped_name_key = '\\x00' WHERE slug = $1", SLUG)
        _, output = await run("check", environ)
        assert f"{SLUG}: its keys were encrypted with another SECRET_KEY" in output


async def test_readiness_says_so_and_the_log_has_the_reason(
    site: Installation, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    settings = load(site.environ | {"SECRET_KEY": OTHER, "PORT": str(port)}, role=Process.WEB)
    async with (
        serving(settings),
        httpx2.AsyncClient(base_url=settings.base_url, verify=NO_TLS) as client,
    ):
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.text.startswith(SENTENCE)) == (503, True)
        assert answer.headers["retry-after"] == "5"
        assert (await client.get("/healthz")).status_code == 200
    assert (await site.client.get("/readyz")).text.startswith("ready\n")


async def test_an_installation_without_letters_starts(database_url: str, tmp_path: Path, site: Installation) -> None:
    async with site.database.connection() as conn:
        await conn.execute("TRUNCATE letter, installation, day_key, desk_key, signing_key CASCADE")
    await startup.look_at_database(load(site.environ | {"SECRET_KEY": OTHER}, role=Process.WEB))


async def test_start_up_refuses_in_this_process_too(site: Installation) -> None:
    with pytest.raises(SettingsError, match="OLD_SECRET_KEYS"):
        await startup.look_at_database(load(site.environ | {"SECRET_KEY": OTHER}, role=Process.WEB))


async def test_another_contact_pair_is_named(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path) as site, receiving(site.inbox) as smtp_port:
        assert (await site.sign()).status_code == 303
        public, private = new_contact_pair()
        environ = site.environ | MAIL | {"SMTP_URLS": f"smtp://127.0.0.1:{smtp_port}"}
        _, output = await run("check", environ)
        assert "CONTACT" not in output
        other = {"CONTACT_PUBLIC_KEY": public, "CONTACT_PRIVATE_KEY": private}
        code, output = await run("check", environ | other)
        assert code == 1
        assert "database: CONTACT_PRIVATE_KEY is not the one that the addresses of mails that wait were" in output
        _, output = await run("check", environ | {"CONTACT_PRIVATE_KEY": private})
        assert "worker: CONTACT_PRIVATE_KEY and CONTACT_PUBLIC_KEY are not a pair" in output


def test_the_version_is_printed() -> None:
    done = called("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("petition 20")
