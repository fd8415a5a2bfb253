"""Nobody can learn who is an organizer: known and unknown addresses get the same answer by the same statements."""

from tests.organizers import people
from tests.running import SLUG
from tests.signatures.test_same_answer import Watched, watched

__all__ = ["watched"]

KNOWN, UNKNOWN = "vera@letters.example", "nemo@letters.example"


async def test_asking_for_a_link(watched: Watched) -> None:
    watched.site.client.headers.update(people.headers(watched.site))
    await people.give_totp(watched.site, (await people.add(watched.site, KNOWN)).id)
    for lang in ("en", "ru"):
        # The first one of all only warms up.
        asked = [await watched.post(f"/organizer/enter?lang={lang}", {"email": each}) for each in order(4)]
        assert asked[0][0] == 303
        assert any("outbox" in statement for statement in asked[1][3])
        assert not any("FROM organizer" in statement for statement in asked[1][3])
        assert all(each == asked[1] for each in asked[1:])


async def test_asking_too_often(watched: Watched) -> None:
    watched.site.client.headers.update(people.headers(watched.site))
    await people.add(watched.site, KNOWN)
    asked: dict[str, list[tuple[object, ...]]] = {KNOWN: [], UNKNOWN: []}
    for each in order(14):
        asked[each].append(await watched.post("/organizer/enter?lang=en", {"email": each}))
    assert asked[KNOWN][1:] == asked[UNKNOWN][1:]
    assert {answer[0] for answer in asked[KNOWN]} == {303}
    mails = ["outbox" in str(answer[3]) for answer in asked[KNOWN]]
    assert mails == [True] * 5 + [False] * 2


def order(times: int) -> list[str]:
    return [KNOWN, UNKNOWN] * (times // 2)


async def test_inviting(watched: Watched) -> None:
    site = watched.site
    await people.add(site, KNOWN)
    async with people.at_desk(site, "owner") as client:
        site.client.cookies.update(client.cookies)
        site.client.headers.update(people.headers(site))
        whom = {"name": "Somebody", "role": "viewer", "lang": "en"}
        place = f"/organizer/{SLUG}/members/invite"
        asked = [await watched.post(place, whom | {"email": each}) for each in order(6)]
    assert asked[2][0] == 303
    assert all(each == asked[2] for each in asked[2:])
