"""A mailing to mailboxes that do not exist: through the real worker, a real SMTP server and the bounces' receiver."""

from pathlib import Path

from petition.core.database import Database
from petition.core.settings import Process, load
from petition.incoming_mail.model import Outcome
from petition.incoming_mail.receivers import bounce_receiver
from petition.letters.model import Letter
from tests.incoming_mail.test_reports import shape
from tests.mail.post_office import PostOffice
from tests.mailings import subscribers
from tests.mailings.test_sending import is_done, post, until, worker
from tests.running import environment

__all__ = ["post"]
DOMAIN = "bounces.letters.example"
SUPPRESS = "INSERT INTO bounced_mailbox (letter, digest, reason, paused_until) VALUES ($1, $2, 'bounce', now())"


async def test_each_copy_has_its_own_return_path_and_bounces_once(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    await subscribers.add(database, letter, range(1, 11))
    settings = load(environment(tmp_path, database_url, 8000, BOUNCE_DOMAIN=DOMAIN), role=Process.WEB)
    async with database.connection() as conn:
        gone = await conn.fetchval(
            "SELECT s.digest FROM signature s JOIN contact c ON c.letter = s.letter AND c.signature = s.id"
            " ORDER BY s.id LIMIT 1"
        )
        await conn.execute(SUPPRESS, letter.id, gone)
    update_id = await subscribers.publish(database, letter)
    await subscribers.mail(database, letter, update_id)
    more = {"BASE_URL": "https://letters.example", "CONTROLLER": "Pier", "BOUNCE_DOMAIN": DOMAIN}
    async with worker(tmp_path, database_url, post, **more):
        row = await until(database, letter, is_done)
    assert (row["recipients"], row["accepted"], row["suppressed"], row["bounced"]) == (10, 9, 1, 0)
    assert len(set(post.senders)) == 9
    assert all(sender.endswith(f"@{DOMAIN}") for sender in post.senders)
    receiver = bounce_receiver(settings, database)
    for name in ("hard_postfix", "hard_postfix", "soft_expired"):
        assert await receiver.receive("", post.senders[4], shape(name, "x")) is Outcome.DONE
    row = await subscribers.numbers(database, letter)
    assert (row["recipients"], row["accepted"], row["suppressed"], row["bounced"]) == (10, 8, 1, 1)
    assert row["state"] == "done"
    async with database.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM bounced_mailbox") == 2
