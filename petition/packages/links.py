"""Where an addressee gets the package: a link in the mail that delivers the letter."""

from dataclasses import dataclass

from petition.core.database import Connection
from petition.core.ids import LetterId
from petition.core.tokens import Tokens
from petition.packages import queries


@dataclass(frozen=True, slots=True)
class PackageLinks:
    """Makes these links."""

    tokens: Tokens

    async def path(self, conn: Connection, letter_id: LetterId, lang: str) -> str | None:
        """Return the path of a letter's package for readers of ``lang``; None while there is none."""
        slug = await queries.slug_with_document(conn, letter_id)
        if slug is None:
            return None
        return f"/{lang}/{slug}/package/{self.tokens.for_package(letter_id)}"
