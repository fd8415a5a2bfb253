"""The text page: every field saved as it was typed, refused with a reason, joined with what a colleague wrote."""

import asyncio
import html
from collections.abc import AsyncIterator

import httpx2
import pytest

from petition.drafts import draft_fields, folder, store
from tests import rows
from tests.drafts import desk
from tests.organizers import people
from tests.running import SAMPLE, SLUG, Installation

LOG = "SELECT act, after, organizer FROM log WHERE organizer IS NOT NULL ORDER BY id"
REVISION = "SELECT revision FROM letter WHERE slug = $1"


@pytest.fixture
async def editor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "editor") as client:
        yield client


@pytest.fixture
async def colleague(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "editor", email="timur@letters.example", name="Тимур") as client:
        yield client


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_all_of_the_letter_is_there(site: Installation, lang: str) -> None:
    async with people.at_desk(site, "editor", lang=lang) as client:
        form = await desk.opened(client)
    given = folder.read(SAMPLE, ("en", "ru"))
    assert {code: (form[f"title.{code}"], form[f"text.{code}"]) for code in ("en", "ru")} == given.texts
    assert form["goal"] == "5000"
    assert form["initiators.0.en"] == "Open Channels Society"
    assert form["initiators.1.en"] == ""
    assert form["addressees.2.ru"] == "«Орса Телеком»"


async def test_what_is_sent_untouched_changes_nothing(site: Installation, editor: httpx2.AsyncClient) -> None:
    before = await rows.rows_of(site.database, REVISION, SLUG)
    assert (await desk.save(editor, await desk.opened(editor))).status_code == 303
    assert (await desk.by_script(editor, await desk.opened(editor)))["wrote"] is False
    assert await rows.rows_of(site.database, LOG) == []
    assert await rows.rows_of(site.database, REVISION, SLUG) == before


async def test_every_field_is_saved_and_readers_see_none_of_it(site: Installation, editor: httpx2.AsyncClient) -> None:
    before = (await site.client.get(f"/en/{SLUG}")).text.partition("data-counted")[0]
    form = await desk.opened(editor)
    changes = {
        "title.en": "Another <title> & more",
        "text.en": "One.\n\n<b>Two</b>",
        "title.ru": "Другое название",
        "sharing.en": "Read “this”",
        "alt.ru": "Море",
        "goal": "6000",
        "next_goals": "7000 80000",
        "closes_at": "2099-03-01T18:30",
        "initiators.1.en": "Second Society",
        "initiators.1.url": "second.example",
        "addressees.0.en": "",
        "addressees.0.ru": "",
    }
    assert (await desk.save(editor, form | changes)).status_code == 303
    after = await desk.opened(editor)
    assert {name: after[name] for name in changes} == changes | {
        "closes_at": "2099-03-01T18:30:00",
        "initiators.1.url": "https://second.example",
        "addressees.0.en": "Halden Cloud",
        "addressees.0.ru": "Halden Cloud",
    }
    page = await desk.public(site)
    assert page.partition("data-counted")[0] == before
    about = (await site.client.get(f"/api/v1/letters/{SLUG}")).json()
    assert (about["goal"], about["closes_at"]) == (5000, None)
    (act,) = await rows.rows_of(site.database, LOG)
    assert act["act"] == "letter.write"
    assert act["after"] == "addressees+alt+closes_at+goal+initiators+next_goals+sharing+text+title"


WRONG = (
    ("title.en", "x" * 201, draft_fields.BAD_TITLE),
    ("title.en", "a\u0007", draft_fields.BAD_TITLE),
    ("text.en", "a\u0007b", draft_fields.BAD_TEXT),
    ("text.ru", "я" * 100_001, draft_fields.LONG_TEXT),
    ("sharing.en", "x" * 301, draft_fields.BAD_SENTENCE),
    ("goal", "many", draft_fields.BAD_GOAL),
    ("goal", "0", draft_fields.BAD_GOAL),
    ("goal", "2147483648", draft_fields.BAD_GOAL),
    ("goal", "-5", draft_fields.BAD_GOAL),
    ("goal", "12.5", draft_fields.BAD_GOAL),
    ("goal", "1,00", draft_fields.BAD_GOAL),
    ("goal", "٣٤", draft_fields.BAD_GOAL),
    ("next_goals", "7000 6000", draft_fields.BAD_GOALS),
    ("next_goals", "4000", draft_fields.BAD_GOALS),
    ("next_goals", " ".join(str(each) for each in range(6000, 6011)), draft_fields.BAD_GOALS),
    ("closes_at", "tomorrow", draft_fields.BAD_MOMENT),
    ("closes_at", "2027-02-30T10:00", draft_fields.BAD_MOMENT),
    ("initiators.0.url", "javascript:alert(1)", draft_fields.BAD_URL),
    ("initiators.0.en", "x" * 201, draft_fields.BAD_NAME),
    ("initiators.1.url", "https://nobody.example", draft_fields.NO_NAME),
)


async def test_what_cannot_be_is_told_and_the_rest_is_saved(editor: httpx2.AsyncClient) -> None:
    for number, (field, typed, message) in enumerate(WRONG):
        form = await desk.opened(editor)
        wrong = form | {field: typed, "alt.en": f"Sea {number}"}
        told = await desk.by_script(editor, wrong)
        assert list(told["problems"].values()) == [message]
        assert told["conflicts"] == {}
        page = await desk.save(editor, form | {field: typed, "alt.en": f"Sea {number}", "alt.ru": f"Море {number}"})
        assert page.status_code == 422
        assert message in html.unescape(page.text)
        assert desk.fields(page)[field] == typed
        after = await desk.opened(editor)
        assert after[field] == form[field]
        assert (after["alt.en"], after["alt.ru"]) == (f"Sea {number}", f"Море {number}")


async def test_two_in_different_fields_do_not_disturb_each_other(
    editor: httpx2.AsyncClient, colleague: httpx2.AsyncClient
) -> None:
    mine, theirs = await desk.opened(editor), await desk.opened(colleague)
    told = await desk.by_script(colleague, theirs | {"title.ru": "Их название", "goal": "7000"})
    assert told["wrote"] is True
    assert "Тимур" in told["said"]
    told = await desk.by_script(editor, mine | {"title.en": "My title"})
    assert told["conflicts"] == {} == told["problems"]
    assert told["fresh"] == {"title.ru": "Их название", "goal": "7000"}
    after = await desk.opened(editor)
    assert (after["title.en"], after["title.ru"], after["goal"]) == ("My title", "Их название", "7000")


async def test_the_same_thing_twice_is_no_conflict(editor: httpx2.AsyncClient, colleague: httpx2.AsyncClient) -> None:
    mine, theirs = await desk.opened(editor), await desk.opened(colleague)
    assert (await desk.by_script(colleague, theirs | {"goal": "7000"}))["wrote"] is True
    told = await desk.by_script(editor, mine | {"goal": "7 000"})
    assert (told["wrote"], told["conflicts"]) == (False, {})


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("title.en", "My title", "Their <title>"),
        ("text.ru", "Моё", "Их\n\nтекст"),
        ("goal", "6000", "7000"),
        ("initiators.0.en", "My society", "Their society"),
    ],
)
async def test_the_same_field_shows_both_and_asks(
    editor: httpx2.AsyncClient, colleague: httpx2.AsyncClient, field: str, one: str, other: str
) -> None:
    name = field.partition(".")[0] if field.startswith("initiators") else field
    mine, theirs = await desk.opened(editor), await desk.opened(colleague)
    assert (await desk.save(colleague, theirs | {field: other})).status_code == 303
    page = await desk.save(editor, mine | {field: one, "alt.en": "The sea"})
    assert page.status_code == 409
    assert "Тимур has changed this in the meantime" in page.text
    assert html.escape(other) in page.text or f"{int(other):,}" in page.text
    form = desk.fields(page)
    assert form[field] == one
    assert (await desk.opened(editor))[field] == other
    assert (await desk.opened(editor))["alt.en"] == "The sea"
    undecided = await desk.save(editor, form)
    assert undecided.status_code == 409
    assert (await desk.opened(editor))[field] == other
    assert (await desk.save(editor, form | {f"choice.{name}": "theirs"})).status_code == 303
    assert (await desk.opened(editor))[field] == other
    assert (await desk.save(editor, form | {f"choice.{name}": "mine"})).status_code == 303
    assert (await desk.opened(editor))[field] == one


async def test_a_choice_is_about_what_was_shown(editor: httpx2.AsyncClient, colleague: httpx2.AsyncClient) -> None:
    mine = await desk.opened(editor)
    await desk.change(colleague, title_en="First")
    form = desk.fields(await desk.save(editor, mine | {"title.en": "Mine"}))
    await desk.change(colleague, title_en="Second")
    again = await desk.save(editor, form | {"choice.title.en": "mine"})
    assert again.status_code == 409
    assert "Second" in again.text
    assert (await desk.opened(editor))["title.en"] == "Second"


async def test_a_script_is_told_both(editor: httpx2.AsyncClient, colleague: httpx2.AsyncClient) -> None:
    mine = await desk.opened(editor)
    await desk.change(colleague, title_en="Their title", initiators_0_en="Their society")
    told = await desk.by_script(editor, mine | {"title.en": "My title"})
    assert set(told["conflicts"]) == {"title.en"}
    assert "Their title" in told["conflicts"]["title.en"]
    assert "Their society" in told["rows"]["initiators"]
    assert told["fresh"] == {}
    seen = {f"seen.{name}": digest for name, digest in told["seen"].items()}
    chosen = mine | {"title.en": "My title", "conflict.title.en": "1", "choice.title.en": "mine"} | seen
    chosen["initiators.0.en"] = "Their society"
    told = await desk.by_script(editor, chosen)
    assert told["conflicts"] == {}
    assert (await desk.opened(editor))["title.en"] == "My title"


async def test_two_at_once_overwrite_nothing(editor: httpx2.AsyncClient, colleague: httpx2.AsyncClient) -> None:
    mine, theirs = await desk.opened(editor), await desk.opened(colleague)
    answers = await asyncio.gather(
        desk.by_script(editor, mine | {"title.en": "Mine", "alt.en": "a"}),
        desk.by_script(colleague, theirs | {"title.en": "Theirs", "alt.ru": "б"}),
    )
    assert sum("title.en" in each["conflicts"] for each in answers) == 1
    after = await desk.opened(editor)
    assert (after["alt.en"], after["alt.ru"]) == ("a", "б")


@pytest.mark.parametrize(
    ("act", "names"),
    [
        ("drop:addressees:1", ["Meridian Networks", "Orsa Telecom", ""]),
        ("up:addressees:2", ["Meridian Networks", "Orsa Telecom", "Halden Cloud", ""]),
        ("down:addressees:0", ["Halden Cloud", "Meridian Networks", "Orsa Telecom", ""]),
        ("up:addressees:0", ["Meridian Networks", "Halden Cloud", "Orsa Telecom", ""]),
        ("drop:addressees:99", ["Meridian Networks", "Halden Cloud", "Orsa Telecom", ""]),
        ("drop:nobody:0", ["Meridian Networks", "Halden Cloud", "Orsa Telecom", ""]),
    ],
)
async def test_rows_are_moved_without_scripts(editor: httpx2.AsyncClient, act: str, names: list[str]) -> None:
    answer = await desk.save(editor, await desk.opened(editor) | {"act": act})
    assert answer.status_code == 303
    form = await desk.opened(editor)
    assert [form[f"addressees.{place}.en"] for place in range(len(names))] == names


async def test_names_in_search_is_a_promise(site: Installation, editor: httpx2.AsyncClient) -> None:
    form = await desk.opened(editor)
    assert "names_in_search" not in form
    told = await desk.by_script(editor, form | {"names_in_search": "yes"})
    assert told["problems"] == {"names_in_search": store.TOO_LATE}
    assert await rows.rows_of(site.database, LOG) == []


async def test_names_in_search_can_be_switched_on_before_and_off_afterwards(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    path = "/organizer/a-new-one/text"
    await editor.post("/organizer/letters/new", data={"title.en": "New", "slug": "a-new-one"})
    form = await desk.opened(editor, path) | {"names_in_search": "yes", "text.en": "Text"}
    form |= {"addressees.0.en": "You", "initiators.0.en": "We"}
    assert (await desk.save(editor, form, path)).status_code == 303
    shown = "SELECT names_in_search FROM letter WHERE slug = 'a-new-one'"
    assert await rows.rows_of(site.database, shown) == [{"names_in_search": True}]
    publish = "/organizer/a-new-one/publish"
    assert (await desk.publish(editor, publish)).status_code == 303
    form = await desk.opened(editor, path)
    assert form.pop("names_in_search") == "yes"
    assert (await desk.save(editor, form, path)).status_code == 303
    assert (
        await desk.save(editor, await desk.opened(editor, path) | {"names_in_search": "yes"}, path)
    ).status_code == 303
    form = await desk.opened(editor, path)
    form.pop("names_in_search")
    assert (await desk.save(editor, form, path)).status_code == 303
    assert (await desk.publish(editor, publish)).status_code == 303
    assert await rows.rows_of(site.database, shown) == [{"names_in_search": False}]
    told = await desk.by_script(editor, await desk.opened(editor, path) | {"names_in_search": "yes"}, path)
    assert set(told["problems"]) == {"names_in_search"}


@pytest.mark.parametrize("role", ["viewer", "moderator"])
async def test_others_may_not_write(site: Installation, editor: httpx2.AsyncClient, role: str) -> None:
    form = await desk.opened(editor)
    async with people.at_desk(site, role) as client:
        assert (await client.get(desk.TEXT)).status_code == 403
        assert (await desk.save(client, form | {"goal": "6000"})).status_code == 403
        assert (await client.get(f"/organizer/{SLUG}/preview")).status_code == 403
        assert (await client.post(f"/organizer/{SLUG}/preview/link", data={})).status_code == 403
        assert (await client.get(desk.PUBLISH)).status_code == 403
        assert (await client.post(desk.PUBLISH, data={})).status_code == 403
    async with people.at_desk(site, email="else@letters.example") as client:
        assert (await desk.save(client, form | {"goal": "6000"})).status_code == 404
    async with people.stranger(site) as client:
        assert (await client.post(desk.TEXT, data=form)).status_code == 401
    assert (await desk.opened(editor))["goal"] == "5000"


DAMAGED = (
    (b"", "application/json", 415),
    (b"seen.goal=%ff", "application/x-www-form-urlencoded", 400),
    (b"a=%00", "application/x-www-form-urlencoded", 400),
    (b"", "multipart/form-data", 400),
    (b"x", "multipart/form-data; boundary=b", 400),
    (b"--b\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 400),
    (
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--\r\n',
        "multipart/form-data; boundary=b",
        400,
    ),
    (
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\0\r\n--b--\r\n',
        "multipart/form-data; boundary=b",
        400,
    ),
    (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx', "multipart/form-data; boundary=b", 400),
    (b"x" * (4 * 1024 * 1024 + 1), "multipart/form-data; boundary=b", 413),
    (b"&".join(b"a%d=" % n for n in range(4001)), "application/x-www-form-urlencoded", 400),
)


async def test_damaged_forms_are_refused(editor: httpx2.AsyncClient) -> None:
    for body, kind, status in DAMAGED:
        answer = await editor.post(desk.TEXT, content=body, headers={"Content-Type": kind})
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "no-store"


async def test_made_up_fields_do_nothing(site: Installation, editor: httpx2.AsyncClient) -> None:
    odd = {
        "picture.en": "7",
        "seen.picture.en": "",
        "seen.slug": "x",
        "slug": "privacy",
        "addressees.5000.en": "x",
        "addressees.0.fr": "x",
        "choice.goal": "theirs",
        "conflict.nothing": "1",
        "drop.picture.fr": "yes",
        "act": "drop:addressees",
    }
    assert (await desk.save(editor, await desk.opened(editor) | odd)).status_code == 303
    assert await rows.rows_of(site.database, LOG) == []


async def test_a_sitting_is_one_act_of_the_log(
    site: Installation, editor: httpx2.AsyncClient, colleague: httpx2.AsyncClient
) -> None:
    for title in ("O", "On", "One"):
        await desk.change(editor, title_en=title)
    await desk.change(colleague, title_en="Two")
    await desk.change(editor, title_en="Three", goal="7000")
    acts = await rows.rows_of(site.database, LOG)
    assert [each["after"] for each in acts] == ["title", "title", "goal+title"]
    assert acts[0]["organizer"] == acts[2]["organizer"] != acts[1]["organizer"]
