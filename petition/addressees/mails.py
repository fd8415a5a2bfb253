"""The mails to addressees: the letter itself, once, and a reminder. They name the controller, and how to object."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from petition.addressees import queries
from petition.addressees.answers import HAS_OBJECTED
from petition.addressees.deliveries import LINK_LENGTH
from petition.addressees.model import REMINDED
from petition.core import letter_facts
from petition.core.database import Connection, Record
from petition.core.i18n import Texts
from petition.core.ids import AddresseeId, LetterId
from petition.core.outbox import DirectMailJob, MailContent, MailWriter, RecipientNote
from petition.core.tokens import Tokens
from petition.letters import plain_text
from petition.letters.parties import Party

PURPOSE = "addressee"
MAX_TEXT = 20_000  # characters of the letter in a mail; the rest is on its page

# Returns the address of the letter's package below the installation's (letter, language), None while there is none.
PackagePath = Callable[[Connection, LetterId, str], Awaitable[str | None]]


class AddresseeMails:
    """Writes these mails for the worker; ``package_path`` says where the letter's package can be downloaded."""

    def __init__(self, tokens: Tokens, package_path: PackagePath | None = None) -> None:
        self._tokens = tokens
        self._package_path = package_path

    @property
    def writers(self) -> Mapping[str, MailWriter]:
        return {PURPOSE: self.write}

    async def write(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        """Return the mail; None if the addressee has objected, or the letter is gone."""
        letter_id, addressee_id = job.letter_id, AddresseeId(int(str(job.details["addressee"])))
        row = None if letter_id is None else await queries.mail_facts(conn, letter_id, addressee_id)
        if letter_id is None or row is None or row["objected_at"] is not None:
            return None
        letter = await letter_facts.load(conn, letter_id)
        lang = row["lang"]
        link = await queries.extend_link(conn, letter_id, addressee_id, LINK_LENGTH)
        context = {
            "name": Party(row["names"]).name(lang),
            "is_reminder": job.details.get("kind") == REMINDED,
            "initiators": [] if letter is None else _initiators(letter.initiators, lang),
            "package": await self._package_path(conn, letter_id, lang) if self._package_path else None,
            "token": self._tokens.for_answer(letter_id, addressee_id, link, mailed=True),
            **_text(row, lang),
        }
        return MailContent("addressee", context, lang=lang, note_recipient=_noting(letter_id, addressee_id))


def _initiators(initiators: Sequence[Texts], lang: str) -> list[str]:
    return [texts.get(lang) or next(iter(texts.values())) for texts in initiators if texts]


def _text(row: Record, lang: str) -> dict[str, object]:
    texts = row["texts"]
    text_lang = lang if lang in texts else min(texts)
    text = plain_text.paragraphs(texts[text_lang]["html"])
    return {
        "slug": row["slug"],
        "title": texts[text_lang]["title"],
        "text_lang": text_lang,
        "text": text[:MAX_TEXT],
        "is_cut": len(text) > MAX_TEXT,
        "people": row["people"],
        "organizations": row["organizations"],
        "now": row["now"],
    }


def _noting(letter_id: LetterId, addressee_id: AddresseeId) -> RecipientNote:
    """Return what notes the address's digest, so that an objection by its link also stops all other mail from here."""

    async def note(conn: Connection, never: bytes, is_suppressed: bool) -> None:
        await queries.note_never(conn, letter_id, addressee_id, never)
        if is_suppressed:
            await queries.fail_jobs(conn, letter_id, addressee_id, HAS_OBJECTED)

    return note
