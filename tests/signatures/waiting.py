"""A signature that waits to be confirmed, and what can be done with it."""

from datetime import timedelta

import httpx2

from petition.core.ids import SignatureId
from petition.letters.model import Letter
from tests import rows
from tests.running import SLUG, Installation

VERA = "vera@letters.example"
SIGNED = f"/en/{SLUG}/signed"
CODE = f"/en/{SLUG}/confirm"


class Waiting:
    """A signature that waits to be confirmed."""

    def __init__(self, site: Installation, letter: Letter, signature_id: SignatureId) -> None:
        self.site, self.letter, self.id = site, letter, signature_id
        self.token = rows.token(letter, signature_id)
        self.code = rows.code(letter, signature_id)
        self.link = f"/en/confirm/{self.token}"
        self.own = f"/en/signature/{self.token}"

    @classmethod
    async def of(
        cls, site: Installation, address: str = VERA, age: timedelta = timedelta(), /, **fields: str
    ) -> "Waiting":
        """Add one."""
        async with site.database.transaction() as conn:
            letter = await rows.letter(conn)
            (signature_id,) = await rows.add_pending(conn, letter, [address], age, **fields)
        return cls(site, letter, signature_id)

    async def type_code(self, code: str | None = None, email: str = VERA, **headers: str) -> httpx2.Response:
        """Type the mailed code, or another."""
        form = {"email": email, "code": self.code if code is None else code}
        return await self.site.client.post(CODE, data=form, headers=self.site.new_network() | headers)


async def execute(site: Installation, statement: str, *arguments: object) -> None:
    """Change the database behind the web's back."""
    async with site.database.connection() as conn:
        await conn.execute(statement, *arguments)
