"""A member who was taken out of a letter reads so at its addresses; a stranger learns nothing of the letter."""

import pytest

from petition.core.ids import OrganizerId
from petition.organizers import members
from petition.organizers.model import Role
from tests import rows
from tests.organizers import people
from tests.running import SLUG, Installation


@pytest.mark.parametrize(
    ("lang", "text"),
    [("en", "You no longer work on this letter"), ("ru", "Вы больше не работаете над этим письмом")],
)
async def test_only_the_former_member_is_told_so(site: Installation, lang: str, text: str) -> None:
    async with (
        people.at_desk(site, "moderator", email="former@desk.example", lang=lang) as former,
        people.at_desk(site, "owner", email="owner@desk.example") as owner,
        people.at_desk(site, None, email="stranger@desk.example") as stranger,
    ):
        assert (await former.get(f"/organizer/{SLUG}/queue")).status_code == 200
        async with site.database.transaction() as conn:
            letter = await rows.letter(conn)
            organizer_id: OrganizerId = await conn.fetchval(
                "SELECT max(organizer) FROM member WHERE role = 'moderator'"
            )
            await members.remove(conn, organizer_id, letter.id, organizer_id, Role.MODERATOR)
        for path in ("queue", "log", "", "text"):
            answer = await former.get(f"/organizer/{SLUG}/{path}")
            assert answer.status_code == 403
            assert text in answer.text.replace("\N{NO-BREAK SPACE}", " ")
            assert letter.version.texts["en"].title not in answer.text
            assert (await stranger.get(f"/organizer/{SLUG}/{path}")).status_code == 404
        assert (await former.post(f"/organizer/{SLUG}/queue", data={"act": "approve"})).status_code == 403
        assert (await former.get("/organizer/no-such-letter/queue")).status_code == 404
        assert (await owner.get(f"/organizer/{SLUG}/queue")).status_code == 200
