"""A school that an organizer let through signs without waiting, and what waited counts exactly."""

from petition.core.encryption import Wrapper
from petition.core.quotas import DayKeys
from petition.moderation import crowds
from petition.signatures.confirming import ConfirmResult
from tests import rows
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import KEY, SLUG, Installation
from tests.signatures.test_ceilings import LIMITS, addresses_at, confirm, sign

PATH = f"/organizer/{SLUG}/domains"


async def test_a_class_of_forty_is_let_through_and_others_go_on_waiting(site: Installation) -> None:
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
    day = await DayKeys(site.database, Wrapper([KEY])).today()
    school, other = day.mail_domain(bench.letter.id, "school.ru"), day.mail_domain(bench.letter.id, "other.ru")
    results = await confirm(bench, await sign(bench, addresses_at("school.ru", 20), school))
    waiting = results.count(ConfirmResult.HELD)
    assert 11 <= waiting < 20  # a limit of six is nine at most
    strangers = (await confirm(bench, await sign(bench, addresses_at("other.ru", 15), other))).count(ConfirmResult.HELD)
    before = (await bench.check())["people"]
    later = await sign(bench, addresses_at("pupils.school.ru", 20), school)
    async with people.at_desk(site, "moderator", email="mo@letters.example") as client:
        assert "1 domain is let through" not in (await client.get(PATH)).text
        refused = await client.post(PATH, data={"act": "trust", "domain": "gmail.com"})
        assert refused.status_code == 422
        assert (await client.post(PATH, data={"act": "trust", "domain": "no domain"})).status_code == 422
        assert (await client.post(PATH, data={"act": "trust", "domain": "School.RU"})).status_code == 303
        assert "1 domain is let through" in (await client.get(f"{PATH}?done=trust")).text
    assert (await bench.check())["people"] == before + waiting
    assert set(await confirm(bench, later)) == {ConfirmResult.CONFIRMED}
    assert (await bench.check())["people"] == before + waiting + 20
    await crowds.flag(bench.database, LIMITS)
    held = await bench.rows("SELECT count(*) AS number FROM signature WHERE letter = $1 AND state = 'held'")
    assert held[0]["number"] == strangers
    stored = await bench.rows("SELECT digest FROM trusted_domain WHERE letter = $1")
    assert [row["digest"] for row in stored] == [bench.letter.keys.digest("trusted domain school.ru")]
    async with people.at_desk(site, "moderator", email="mo@letters.example") as client:
        assert (await client.post(PATH, data={"act": "distrust", "domain": "school.ru"})).status_code == 303
        assert "1 domain is let through" not in (await client.get(f"{PATH}?done=distrust")).text
