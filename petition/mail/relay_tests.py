"""Test mails that were asked for at the desk: sent through one relay, to the organizer who asked, by a worker."""

from datetime import UTC, datetime, timedelta

from petition.core.database import Database, Record
from petition.core.decryptions import DecryptionPurpose
from petition.core.encryption import Opener
from petition.core.errors import PetitionError
from petition.core.ids import JobId
from petition.core.outbox import MailContent
from petition.mail import relay_queries as queries
from petition.mail.compose import Composer
from petition.mail.model import DirectMail, MailJob
from petition.mail.relay_errors import RecipientRefused, RelayDown, RelayRejected
from petition.mail.relay_line import RelayLine
from petition.mail.relays import Relays
from petition.mail.smtp_connection import SmtpConnection

POLL = 1.0  # seconds
LEASE = timedelta(minutes=5)
TEMPLATE = "relay_test"


class RelayTester:
    """Sends the test mails of the relays of one worker, each over a connection of its own."""

    def __init__(
        self, database: Database, opener: Opener, composer: Composer, relays: Relays, local_hostname: str
    ) -> None:
        self._database = database
        self._opener = opener
        self._composer = composer
        self._lines = {line.name: line for line in relays.lines}
        self._local_hostname = local_hostname

    async def step(self) -> bool:
        """Send what was asked for; return whether there was something. Raises ``Unavailable``."""
        async with self._database.connection() as conn:
            rows = await queries.take_tests(conn, list(self._lines), LEASE)
        for row in rows:
            outcome = await self._send(row, self._lines[row["relay"]])
            async with self._database.connection() as conn:
                await queries.finish_test(conn, row["id"], *outcome)
        return bool(rows)

    async def _send(self, row: Record, line: RelayLine) -> tuple[str | None, str | None, int, str | None]:
        """Return trouble (None: accepted), step, code and status."""
        job = MailJob(
            JobId(0), None, TEMPLATE, None, row["digest"], row["sealed"], row["lang"], 0, 0, datetime.now(UTC)
        )
        connection = SmtpConnection(line.relay, self._local_hostname)
        try:
            content = MailContent(TEMPLATE, {"relay": line.name}, heeds_never=False)
            address = self._opener.open(row["sealed"], None, DecryptionPurpose.ORGANIZER)
            mail = self._composer.compose(job, DirectMail(content, address, None))
            await connection.send(mail, _nothing)
        except RelayDown as error:
            await line.breaker.failed(error)
            return error.trouble.name.lower(), None, error.code, None
        except RelayRejected as error:
            return f"rejected_{error.reason}", error.step, error.code, error.status
        except RecipientRefused as error:
            return "mailbox", "RCPT", error.code, None
        except PetitionError:
            return "rejected_other", None, 0, None
        finally:
            line.news.tls = connection.tls or line.news.tls
            await connection.hang_up()
        line.news.accepted = True
        await line.breaker.worked()
        return None, None, 0, None


async def _nothing() -> None:
    return None
