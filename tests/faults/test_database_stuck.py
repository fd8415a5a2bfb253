"""PostgreSQL frozen, locked or used up: no reader waits for it, and each form is answered within two seconds.

The processes wait as long as shipped ones do, and the promised bound counts for an idle machine.
"""

import asyncio
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from petition.core import database as databases
from petition.core.errors import Unavailable
from petition.core.ids import AddresseeId
from petition.core.tokens import Tokens
from petition.signatures.listing import Cursor
from tests import rows
from tests.captcha.installation import solve
from tests.faults.load import POW
from tests.faults.patient import Running, check_put_off, fields_of, in_time, pending, read_all, typed_in
from tests.faults.server import Server
from tests.pages import check_page
from tests.running import KEY, SLUG

# The commit takes too long, and is not to be stopped: nobody who waits for it knows that it comes.
LATE_COMMIT = """
CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON pending DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION wait_at_commit();
"""


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


async def test_frozen(running: Running) -> None:
    form = running.form()
    # A change just before: what readers have asked for must be rendered anew, and cannot be.
    async with running.database.connection() as conn:
        await conn.execute("UPDATE letter SET revision = revision + 1")
    with frozen(running.server):
        answer, ready, _ = await asyncio.gather(running.sign(form), running.ready(), read_all(running))
        check_put_off(answer, typed_in(form))
        assert ready == "no database: the database does not answer"
        confirm = f"/en/confirm/{rows.token(running.letter, running.signature_id)}"
        assert (await in_time(running.client.post(confirm))).status_code == 503
        await check_other_forms(running)
        await check_other_pages(running)
        await read_all(running)
    await running.until_ready()
    again = fields_of(answer)
    assert "altcha" not in again
    for _ in range(2):  # with the challenge that was solved before; the second is the impatient one
        assert (await running.sign(again)).status_code == 303
    assert await pending(running, form) == 1
    for _ in range(2):
        assert (await running.client.post(confirm)).status_code == 303
    assert await rows.rows_of(running.database, "SELECT count(*) FROM signature") == [{"count": 1}]


async def check_other_pages(running: Running) -> None:
    """Look at pages that are in no cache: each says calmly, and at once, that it cannot be had for the moment."""
    token = rows.token(running.letter, running.signature_id)
    after = Cursor(datetime.now(UTC), 7).encode()
    public = (
        "confirm/" + token,
        "signature/" + token,
        f"{SLUG}/signatories?q=vera",
        f"{SLUG}/signatories?after={after}",
    )
    pages = [(f"/{lang}/{path}", lang) for lang in ("en", "ru") for path in public]
    for path, lang in [*pages, (f"/organizer/{SLUG}/queue", "en"), ("/organizer/", "en")]:
        page = await in_time(running.client.get(path, headers={"cookie": f"desk={running.session}"}))
        check_page(page, 503, lang)
        assert int(page.headers["retry-after"]) > 0
        assert {"en": "Try again in ", "ru": "через "}[lang] in page.text.replace("\N{NO-BREAK SPACE}", " "), path


async def check_other_forms(running: Running) -> None:
    token = rows.token(running.letter, running.signature_id)
    note = "Одно\nи <b>другое</b>"
    same_site = {"sec-fetch-site": "same-origin"}
    for path, form in {
        f"/ru/{SLUG}/find": {"email": "vera@letters.example"},
        f"/ru/{SLUG}/confirm": {"email": "vera@letters.example", "code": "123456"},
        f"/ru/{SLUG}/report/person/1": {"reason": "fake", "note": note},
        f"/ru/signature/{token}": {"action": "correct", "name": "Вера & Ко", "city": "Ниш"},
        f"/ru/signature/{token}?": {"action": "withdraw", "sure": "yes"},
        f"/ru/{SLUG}/verify": {"receipt": "abc"},
    }.items():
        solved = {"altcha": solve(POW.challenge(running.letter.id))} if path.endswith("find") else {}
        check_put_off(await in_time(running.client.post(path, data=form | solved)), form, "ru")
    enter = {"email": "ada@letters.example"}
    page = await in_time(running.client.post("/organizer/enter", data=enter, headers=same_site))
    assert (page.status_code, fields_of(page)) == (503, enter)
    for path, form in {
        "queue": {"one": "remove:1:7:fake", "note": note},
        "text": {"title_en": "Keep <them> open", "body_en": note},
        "updates": {"act": "publish", "title_ru": "Новость", "text_ru": note},
        "members/invite": {"email": "boris@letters.example", "role": "editor"},
    }.items():
        headers = same_site | {"cookie": f"desk={running.session}"}
        page = await in_time(running.client.post(f"/organizer/{SLUG}/{path}", data=form, headers=headers))
        check_put_off(page, form)
    link = Tokens([KEY]).for_answer(running.letter.id, AddresseeId(1), 1, mailed=False)
    for path in (f"/ru/{SLUG}/answer/{link}", f"/organizer/{SLUG}/text"):
        form, files = {"text": "Да\nи нет"}, {"file": ("answer.pdf", b"%PDF-1.4 " * 1000)}
        page = await in_time(running.client.post(path, data=form, files=files, headers=headers))
        check_put_off(page, form, "ru" if path.startswith("/ru") else "en")
        assert 'enctype="multipart/form-data"' in page.text, "the file would not be sent"
        assert 'hreflang="' not in page.text, "a link that loses what was typed"
        assert re.findall(r'name="(\w+)" type="file" required', page.text) == ["file"]


async def test_a_commit_that_was_not_heard_of_is_not_repeated(running: Running) -> None:
    async with running.database.connection() as conn:
        await conn.execute(LATE_COMMIT)
    form = running.form()
    answer = await running.sign(form)
    check_put_off(answer, typed_in(form))
    async with asyncio.timeout(120):
        while not await pending(running, form):
            await asyncio.sleep(0.05)
    assert (await running.sign(fields_of(answer))).status_code == 303
    assert await pending(running, form) == 1


async def test_a_locked_table(running: Running) -> None:
    for table in ("letter", "used_challenge", "limit_use", "pending", "outbox", "signature"):
        form = running.form(email=f"{table}@letters.example")
        async with running.database.transaction() as conn:
            await conn.execute(f"LOCK TABLE {table}")
            answer = await running.sign(form)
            if table == "signature":  # which signing does not need
                assert answer.status_code == 303
                assert await running.ready() == "ready"
            else:
                check_put_off(answer, typed_in(form))
                assert await running.ready() == "another transaction holds a lock on a table that signing needs", table
            names = await in_time(running.client.get(f"/en/{SLUG}/signatories?q=vera"))
            assert names.status_code == (503 if table == "signature" else 200), table
            await read_all(running)
            connections = await conn.fetchval("SELECT count(*) FROM pg_stat_activity")
            assert connections < 30, "refused ones go on waiting there"
        again = fields_of(answer) if answer.status_code == 503 else form
        async with asyncio.timeout(120):
            while (await running.sign(again)).status_code != 303:
                await asyncio.sleep(0.05)
        assert await pending(running, form) == 1


async def test_no_connections_left(running: Running) -> None:
    """Every connection is taken, and ours are cut."""
    form = running.form()
    async with running.database.connection() as conn:
        await conn.execute("ALTER SYSTEM SET max_connections = 12")
    await running.server.end(signal.SIGINT)
    await running.server.start()
    others: list[databases.Connection] = [await databases.connect(running.server.url)]
    try:
        await take_the_rest(running, others)
        answer = await running.sign(form)
        check_put_off(answer, typed_in(form))
        assert "takes no more connections" in await running.ready()
        await read_all(running)
    finally:
        for other in others:
            await other.close()
    await running.until_ready()
    assert (await running.sign(fields_of(answer))).status_code == 303
    assert await pending(running, form) == 1


async def take_the_rest(running: Running, others: list[databases.Connection]) -> None:
    """Cut the web's connections, and take what becomes free, until it has none."""
    async with asyncio.timeout(120):
        while await cut_all_but(others) or await has_room(running, others):
            pass


async def has_room(running: Running, others: list[databases.Connection]) -> bool:
    """Take one more connection; return False if there is none."""
    try:
        others.append(await databases.connect(running.server.url))
    except Unavailable:
        return False
    return True


async def cut_all_but(others: list[databases.Connection]) -> int:
    """Cut all connections but these; return how many there were."""
    number: int = await others[0].fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND NOT pid = ANY($1)",
        [other.get_server_pid() for other in others],
    )
    return number
