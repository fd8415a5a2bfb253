"""Addresses leave encrypted to an owner's key, made by the worker, after days in which every owner could object."""

import csv
import io

import pytest
from pyrage import decrypt, x25519

from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener, Sealer, new_contact_pair
from petition.exports import address_list_worker
from petition.mail.suppression import Suppression
from tests import rows
from tests.moderation.desk import WRAPPER, Bench
from tests.organizers import people
from tests.running import PRIVATE_KEY, SLUG, Installation

ADDRESSES = f"/organizer/{SLUG}/addresses"
KEY = x25519.Identity.generate()
REGISTER = {"step": "register", "recipient": str(KEY.to_public())}
OUR_OPENER = Opener(PRIVATE_KEY, DecryptionCounts())


@pytest.fixture
async def bench(site: Installation) -> Bench:
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


async def make(site: Installation) -> bool:
    return await address_list_worker.step(site.database, OUR_OPENER, Suppression(WRAPPER))


async def wait_three_days(site: Installation) -> int:
    async with site.database.connection() as conn:
        key: int = await conn.fetchval("UPDATE address_key SET usable_at = now() RETURNING id")
        return key


async def test_the_whole_way(site: Installation, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_list_worker, "SLICE", 2)
    wanted = await bench.sign("Vera", "Olga", "Anna", "Zoya", "Bo", updates="1")
    await bench.sign("No Updates")
    await bench.sign_for("North Pier")
    await bench.remove(wanted[1])
    async with site.database.connection() as conn:
        never = await Suppression(WRAPPER).digest(conn, "voice3@letters.example")
        await conn.execute("INSERT INTO suppressed (digest) VALUES ($1)", never)
        await conn.execute("UPDATE contact SET until = now() WHERE signature = $1", wanted[3])
        other = Sealer(new_contact_pair()[0]).seal("lost@letters.example")
        await conn.execute("UPDATE contact SET sealed = $1 WHERE signature = $2", other, wanted[4])
    async with people.at_desk(site, "owner") as client:
        assert (await client.post(ADDRESSES, data=REGISTER)).status_code == 303
        assert "from" in (await client.get(ADDRESSES)).text
        key = await wait_three_days(site)
        assert (await client.post(ADDRESSES, data={"step": "ask", "key": str(key)})).status_code == 303
        waiting = await client.get(ADDRESSES)
        assert 'http-equiv="refresh"' in waiting.text
        again = await client.post(ADDRESSES, data={"step": "ask", "key": str(key)})
        assert again.status_code == 422
        assert await make(site)
        assert not await make(site)
        (job,) = await rows.rows_of(site.database, "SELECT * FROM address_job")
        assert (job["state"], job["addresses"]) == ("done", 1)
        answer = await client.post(f"{ADDRESSES}/{job['id']}")
        assert f"{SLUG}-addresses-{job['id']}.csv.age" in answer.headers["content-disposition"]
        assert b"letters.example" not in answer.content
        plain = list(csv.DictReader(io.StringIO(decrypt(answer.content, [KEY]).decode())))
        assert [(row["address"], row["lang"]) for row in plain] == [("voice1@letters.example", "en")]
        assert (await client.get(ADDRESSES)).status_code == 200
        log = await rows.rows_of(site.database, "SELECT act, after FROM log WHERE act LIKE 'address.%' ORDER BY id")
        assert [row["act"] for row in log] == ["address.key", "address.ask", "address.made", "address.take"]
        async with site.database.connection() as conn:
            await conn.execute("UPDATE address_job SET created_at = now() - interval '8 days'")
        assert await address_list_worker.drop_expired_lists(site.database) == 1
        assert (await client.post(f"{ADDRESSES}/{job['id']}")).status_code == 404
        assert not await rows.rows_of(site.database, "SELECT FROM address_part")


async def test_a_new_key_does_not_work_and_every_owner_is_notified(site_with_worker: Installation) -> None:
    async with (
        people.at_desk(site_with_worker, "owner", email="ann@desk.example", name="Ann First") as client,
        people.at_desk(site_with_worker, "owner", email="boris@desk.example", lang="ru") as other,
        people.at_desk(site_with_worker, "editor", email="ed@desk.example") as editor,
    ):
        assert (await client.post(ADDRESSES, data=REGISTER)).status_code == 303
        (key,) = await rows.rows_of(
            site_with_worker.database, "SELECT id, usable_at - created_at AS wait FROM address_key"
        )
        assert key["wait"].days == 3
        refused = await client.post(ADDRESSES, data={"step": "ask", "key": str(key["id"])})
        assert refused.status_code == 422
        for address in ("ann@desk.example", "boris@desk.example"):
            body = (await site_with_worker.mail_to(address)).body("plain") or ""
            assert "Ann First" in body
            assert str(KEY.to_public()) in body
            assert ADDRESSES in body
        assert not [mail for mail in site_with_worker.inbox if "ed@desk.example" in mail.to]
        assert (await editor.post(ADDRESSES, data={"step": "revoke", "key": str(key["id"])})).status_code == 403
        assert (await other.post(ADDRESSES, data={"step": "revoke", "key": str(key["id"])})).status_code == 303
        assert (await other.post(ADDRESSES, data={"step": "revoke", "key": str(key["id"])})).status_code == 422
        await wait_three_days(site_with_worker)
        assert (await client.post(ADDRESSES, data={"step": "ask", "key": str(key["id"])})).status_code == 422


async def test_a_session_that_has_not_just_shown_its_factor_registers_nothing(site: Installation) -> None:
    async with people.at_desk(site, "owner") as client:
        async with site.database.connection() as conn:
            await conn.execute("UPDATE session SET proved_at = now() - interval '2 hours'")
        refused = await client.post(ADDRESSES, data=REGISTER)
        assert refused.status_code == 401
        assert "Verify your second factor" in refused.text
        assert not await rows.rows_of(site.database, "SELECT FROM address_key")


async def test_the_key_of_who_owns_the_letter_no_more_is_worth_nothing(site: Installation) -> None:
    async with (
        people.at_desk(site, "owner", email="gone@desk.example") as gone,
        people.at_desk(site, "owner", email="stays@desk.example") as stays,
    ):
        await gone.post(ADDRESSES, data=REGISTER)
        key = await wait_three_days(site)
        async with site.database.connection() as conn:
            await conn.execute(
                "DELETE FROM member WHERE organizer = (SELECT organizer FROM address_key WHERE id = $1)", key
            )
        assert (await stays.post(ADDRESSES, data={"step": "ask", "key": str(key)})).status_code == 422


async def test_an_empty_list_and_a_key_revoked_meanwhile(site: Installation) -> None:
    async with people.at_desk(site, "owner") as client:
        await client.post(ADDRESSES, data=REGISTER)
        key = await wait_three_days(site)
        await client.post(ADDRESSES, data={"step": "ask", "key": str(key)})
        assert await make(site)
        (job,) = await rows.rows_of(site.database, "SELECT * FROM address_job")
        content = (await client.post(f"{ADDRESSES}/{job['id']}")).content
        assert decrypt(content, [KEY]) == b"address,lang,since\r\n"
        await client.post(ADDRESSES, data={"step": "ask", "key": str(key)})
        await client.post(ADDRESSES, data={"step": "revoke", "key": str(key)})
        assert not await make(site)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "Choose what to do"),
        ({"step": "register"}, "not an age public key"),
        ({"step": "register", "recipient": "age1" + "q" * 58}, "not an age public key"),
        ({"step": "register", "recipient": "ssh-ed25519 AAAA"}, "not an age public key"),
        ({"step": "register", "recipient": str(KEY)}, "secret key"),
        ({"step": "ask", "key": "77777777777777777777777"}, "cannot be used"),
        ({"step": "revoke", "key": "x"}, "has changed in the meantime"),
    ],
)
async def test_what_is_refused(site: Installation, form: dict[str, str], message: str) -> None:
    async with people.at_desk(site, "owner") as client:
        answer = await client.post(ADDRESSES, data=form)
        assert answer.status_code == 422
        assert message in answer.text
        assert "AGE-SECRET-KEY" not in answer.text
        assert not await rows.rows_of(site.database, "SELECT FROM address_key")


async def test_who_may_not(site: Installation) -> None:
    async with people.stranger(site) as stranger:
        assert (await stranger.get(ADDRESSES)).status_code == 303
    async with people.at_desk(site, "editor") as editor:
        assert (await editor.get(ADDRESSES)).status_code == 403
        assert (await editor.post(ADDRESSES, data=REGISTER)).status_code == 403
        assert (await editor.post(f"{ADDRESSES}/1")).status_code == 403
    async with people.at_desk(site, "owner") as owner:
        for wrong in ("1", "x", "99999999999"):
            assert (await owner.post(f"{ADDRESSES}/{wrong}")).status_code == 404
        assert (await owner.get(f"{ADDRESSES}/1")).status_code == 405


async def test_a_revoked_key_takes_its_waiting_list_along(site: Installation, bench: Bench) -> None:
    await bench.sign("Vera", updates="1")
    async with people.at_desk(site, "owner") as client:
        await client.post(ADDRESSES, data=REGISTER)
        first = await wait_three_days(site)
        assert (await client.post(ADDRESSES, data={"step": "ask", "key": str(first)})).status_code == 303
        assert (await client.post(ADDRESSES, data={"step": "revoke", "key": str(first)})).status_code == 303
        assert not await make(site)
        await client.post(ADDRESSES, data=REGISTER)
        async with site.database.connection() as conn:
            await conn.execute("UPDATE address_key SET usable_at = now()")
        second = (await rows.rows_of(site.database, "SELECT max(id) AS id FROM address_key"))[0]["id"]
        assert (await client.post(ADDRESSES, data={"step": "ask", "key": str(second)})).status_code == 303
        assert await make(site)
    jobs = await rows.rows_of(site.database, "SELECT key, state FROM address_job ORDER BY id")
    assert [tuple(job.values()) for job in jobs] == [(first, "failed"), (second, "done")]


async def test_a_revoked_key_takes_its_finished_lists_along(site: Installation, bench: Bench) -> None:
    from petition.exports import address_list_worker

    await bench.sign("Vera", updates="1")
    async with people.at_desk(site, "owner") as client:
        await client.post(ADDRESSES, data=REGISTER)
        key = await wait_three_days(site)
        await client.post(ADDRESSES, data={"step": "ask", "key": str(key)})
        assert await make(site)
        (job,) = await rows.rows_of(site.database, "SELECT id FROM address_job")
        assert (await client.post(f"{ADDRESSES}/{job['id']}")).status_code == 200
        await client.post(ADDRESSES, data={"step": "revoke", "key": str(key)})
        assert (await client.post(f"{ADDRESSES}/{job['id']}")).status_code == 404
        assert not await rows.rows_of(site.database, "SELECT FROM address_part")
        # One that the worker finished in the very moment of the revocation.
        async with site.database.connection() as conn:
            await conn.execute(
                "INSERT INTO address_job (letter, key, state) SELECT letter, id, 'done' FROM address_key"
            )
        (late,) = await rows.rows_of(site.database, "SELECT id FROM address_job")
        assert (await client.post(f"{ADDRESSES}/{late['id']}")).status_code == 404
        assert f"{ADDRESSES}/{late['id']}" not in (await client.get(ADDRESSES)).text
    assert await address_list_worker.drop_expired_lists(site.database) == 1
    assert not await rows.rows_of(site.database, "SELECT FROM address_job")
