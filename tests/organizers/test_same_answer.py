"""Nobody can learn who is an organizer: known and unknown addresses get the same answer by the same statements."""

from typing import Any

from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG
from tests.signatures.test_same_answer import Watched, watched

__all__ = ["watched"]

KNOWN, UNKNOWN = "vera@letters.example", "nemo@letters.example"


async def test_asking_for_a_link(watched: Watched) -> None:
    watched.site.client.headers.update(people.headers(watched.site))
    await people.give_totp(watched.site, (await people.add(watched.site, KNOWN)).id)
    for lang in ("en", "ru"):
        # The first one of all only warms up.
        asked = [await ask(watched, lang, each) for each in order(4)]
        assert asked[0][0] == 303
        assert any("outbox" in statement for statement in asked[1][3])
        assert not any("FROM organizer" in statement for statement in asked[1][3])
        assert [name for name, _ in asked[1][1]].count("set-cookie") == 1
        assert all(each == asked[1] for each in asked[1:])


async def test_asking_again_in_the_same_browser(watched: Watched) -> None:
    watched.site.client.headers.update(people.headers(watched.site))
    await people.add(watched.site, KNOWN)
    again = []
    for email in (KNOWN, UNKNOWN, KNOWN, UNKNOWN):
        await ask(watched, "en", email)
        again.append(await watched.post("/organizer/enter?lang=en", {"email": email}))
    assert again[0][0] == 303
    assert all(each == again[0] for each in again)


async def test_the_challenge(watched: Watched) -> None:
    """A network over its limit gets the same page for every address."""
    site = watched.site
    site.client.headers.update(people.headers(site))
    await people.add(site, KNOWN)
    pages = []
    for email in (KNOWN, UNKNOWN):
        network = site.new_network()
        for _ in range(9):
            site.client.cookies.clear()
            answer = await site.client.post("/organizer/enter?lang=en", data={"email": email}, headers=network)
        assert answer.status_code == 422
        pages.append(sorted((name, value) for name, value in answer.headers.items() if name in HEADERS))
    assert pages[0] == pages[1]


HEADERS = {"content-type", "cache-control", "content-security-policy", "vary", "set-cookie", "retry-after"}


async def ask(watched: Watched, lang: str, email: str) -> tuple[Any, ...]:
    """Ask in a fresh browser; return all that can be observed."""
    watched.site.client.cookies.clear()
    return await watched.post(f"/organizer/enter?lang={lang}", {"email": email})


async def test_asking_too_often(watched: Watched) -> None:
    watched.site.client.headers.update(people.headers(watched.site))
    await people.add(watched.site, KNOWN)
    asked: dict[str, list[tuple[object, ...]]] = {KNOWN: [], UNKNOWN: []}
    for each in order(26):
        asked[each].append(await ask(watched, "en", each))
    # Also once the mails to a mailbox are paced: neither the answer nor the work says that others have asked for it.
    assert all(answer == asked[KNOWN][1] for answer in asked[KNOWN][1:] + asked[UNKNOWN][1:])
    assert asked[KNOWN][1][0] == 303
    jobs = await rows_of(watched.site.database, "SELECT digest, due_at > now() AS later FROM outbox")
    assert sorted((sum(job["later"] for job in jobs), len(jobs))) == [2, 22]


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
