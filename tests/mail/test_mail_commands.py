"""``petition mail``, and what ``/metrics`` says of mail."""

import re
from pathlib import Path

from petition.core.database import Connection
from tests import commands
from tests.mail.installation import Installation, environ
from tests.mail.post_office import PostOffice
from tests.mail.waiting import until
from tests.mail.working import tried, working
from tests.organizers import people
from tests.running import installation as web_of

NEMO = "nemo@example.org"


async def test_a_test_mail_through_each_relay(post: PostOffice, tmp_path: Path) -> None:
    other = PostOffice(at={"DATA": "554 5.7.1 spam"})
    await other.open()
    own = environ(tmp_path, "", post.url, other.url)
    code, said = await commands.run(f"mail test {NEMO}", own)
    assert code == 1
    assert f"relay 127.0.0.1:{post.port}: accepted the test mail" in said
    assert f"relay 127.0.0.1:{other.port}: the test mail was not accepted: the relay answers 554 5.7.1 to DATA" in said
    assert post.recipients == [NEMO]
    code, said = await commands.run(f"mail test {NEMO} --relay 127.0.0.1:{post.port}", own)
    assert (code, len(said.splitlines())) == (0, 1)
    await other.close()


async def test_wrong_uses_are_one_line(post: PostOffice, tmp_path: Path) -> None:
    own = environ(tmp_path, "", post.url)
    assert (await commands.run("mail test nemo", own))[0] == 2
    code, said = await commands.run(f"mail test {NEMO} --relay other.example:25", own)
    assert code == 1
    assert said.startswith("petition: there is no relay other.example:25")


async def test_the_queue_and_a_retry(
    installation: Installation, conn: Connection, post: PostOffice, database_url: str, tmp_path: Path
) -> None:
    own = environ(tmp_path, database_url, post.url)
    assert (await commands.run("mail queue", own))[1] == "no mail waits\nno worker has noted its relays yet\n"
    assert (await commands.run("mail retry", own))[1] == "no mail was put off\n"
    post.at["DATA"] = "554 5.7.1 spam"
    await installation.sign_up(await installation.letter(), NEMO)
    async with working(installation.settings):
        await tried(installation, 1)

        async def is_counted() -> bool:
            return bool(await conn.fetchval("SELECT count(*) FROM relay_hour"))

        await until(is_counted)
        await conn.execute("UPDATE outbox SET due_at = now() + interval '2 hours'")
        code, said = await commands.run("mail queue", own)
        assert code == 0
        assert re.search(r"1 mails wait, the oldest for \d+ seconds", said)
        assert "1 of them were put off by relays" in said
        assert re.search(
            rf"relay 127.0.0.1:{post.port}: works; in 24 hours 0 accepted, 1 deferred, 0 refused;"
            r" last trouble: its filter or policy refuses the mail \(DATA 554 5\.7\.1\)",
            said,
        )
        post.at.clear()
        assert (await commands.run("mail retry", own))[1] == "1 mails that were put off are due now\n"
        await until(installation.is_idle)
    assert post.recipients == [NEMO]
    assert NEMO not in said


async def test_figures_for_prometheus(
    installation: Installation, conn: Connection, post: PostOffice, database_url: str, tmp_path: Path
) -> None:
    await installation.sign_up(await installation.letter("another-letter"), NEMO)
    async with working(installation.settings):
        await until(installation.is_idle)

        async def is_counted() -> bool:
            return bool(await conn.fetchval("SELECT count(*) FROM relay_hour"))

        await until(is_counted)
    await conn.execute(
        "INSERT INTO outbox (purpose, digest, sealed, lang, priority) VALUES ('waiting', '', '', 'en', 1)"
    )
    async with web_of(database_url, tmp_path / "web", METRICS_TOKEN="t") as site, people.stranger(site) as client:
        assert (await client.get("/metrics")).status_code == 401
        text = (await client.get("/metrics", headers={"authorization": "Bearer t"})).text
    name = f"127.0.0.1:{post.port}"
    assert f'petition_relay_up{{relay="{name}"}} 1.0' in text
    assert f'petition_relay_mails{{outcome="accepted",relay="{name}"}} 1.0' in text
    assert 'petition_mail_waiting{kind="bulk"} 1.0' in text
    assert 'petition_mail_waiting{kind="normal"} 0.0' in text
    assert re.search(r"^petition_mail_oldest_seconds [0-9.]+", text, re.MULTILINE)
