"""Getting in by a one-time link."""

from petition.organizers import entry
from tests.organizers import people
from tests.running import SLUG, Installation


async def test_smoke(site: Installation) -> None:
    async with people.at_desk(site, "owner") as client:
        answer = await client.get("/organizer/")
        assert answer.status_code == 200, answer.text
        assert (await client.get(f"/organizer/{SLUG}/")).status_code == 200
    async with people.stranger(site) as client:
        assert (await client.get("/organizer/")).headers["location"] == "/organizer/enter"
        assert (await client.get("/organizer/enter")).status_code == 200
        who = await people.add(site, "x@letters.example")
        async with site.database.connection() as conn:
            token = await entry.link(conn, who.id)
        assert (await client.get(f"/organizer/enter/{token}")).status_code == 200
        answer = await client.post(f"/organizer/enter/{token}")
        assert answer.headers["location"] == "/organizer/second", answer.text
        assert (await client.get("/organizer/")).headers["location"] == "/organizer/second"
