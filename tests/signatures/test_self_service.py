"""One's own page: what is stored, who sees it, and how to take it back."""

from typing import Any

import pytest

from petition.cli import approve
from petition.core.encryption import Wrapper
from petition.core.ids import SignatureId
from tests import rows
from tests.pages import assert_redirect, check_page, form_in
from tests.running import KEY, SLUG, Installation
from tests.signatures.waiting import VERA, Waiting, execute

NOTHING = {"people": 0, "organizations": 0, "hidden": 0, "imported": 0}
# What stays of a withdrawn signature: that somebody signed this version then, and took it back; and of an imported one
# the keyed digest of its row, so that the next import does not bring it back.
KEPT = {
    *("letter", "id", "signed_at", "listed_at", "kind", "state", "visibility", "version", "consent"),
    *("import", "import_key"),
}
DETAILS = {"city": "Уфа", "affiliation": "Учитель", "country": "RU"}


@pytest.fixture
def site(clean: Installation) -> Installation:
    """Have the tests of this file share an installation; none of them changes the letter."""
    return clean


async def confirmed(site: Installation, address: str = VERA, **fields: str) -> Waiting:
    """Return a signature that has been confirmed."""
    signature = await Waiting.of(site, address, **fields)
    assert (await site.client.post(signature.link)).status_code == 303
    return signature


async def act(signature: Waiting, action: str, **fields: str) -> Any:
    """Send one of the page's forms."""
    return await signature.site.client.post(signature.own, data={"action": action, **fields})


async def row_of(signature: Waiting) -> dict[str, Any]:
    """Return the signature's row."""
    (row,) = await rows.rows_of(signature.site.database, "SELECT * FROM signature WHERE id = $1", signature.id)
    return row


async def check_count(site: Installation) -> dict[str, int]:
    """Fail unless the count is what the rows say."""
    async with site.database.connection() as conn:
        return await rows.check_count(conn, await rows.letter(conn))


async def test_it_shows_what_is_stored(site: Installation) -> None:
    signature = await confirmed(site, **DETAILS)
    for lang in ("en", "ru"):
        page = await site.client.get(signature.own.replace("/en/", f"/{lang}/"))
        check_page(page, 200, lang)
        for text in ("Vera Novak", "Уфа", "Учитель", {"en": "Russia", "ru": "Россия"}[lang]):
            assert text in page.text
    data = await site.client.get(f"{signature.own}/data.json")
    assert data.headers["cache-control"] == "no-store"
    assert data.headers["content-type"] == "application/json"
    document = data.json()
    assert {
        key: document[key] for key in ("letter", "name", "city", "affiliation", "country", "visibility", "version")
    } == {
        **{"letter": SLUG, "name": "Vera Novak", "city": "Уфа", "affiliation": "Учитель", "country": "RU"},
        **{"visibility": "public", "version": 1},
    }
    assert VERA not in data.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_another_method_is_refused(site: Installation, method: str) -> None:
    signature = await confirmed(site)
    check_page(await site.client.request(method, signature.own), 405)
    check_page(await site.client.request(method, f"{signature.own}/data.json"), 405)
    assert (await site.client.post(f"{signature.own}/data.json")).status_code == 405
    assert (await check_count(site))["people"] == 1


async def test_strangers_are_refused(site: Installation) -> None:
    signature = await confirmed(site)
    async with site.database.connection() as conn:
        nobody = rows.token(await rows.letter(conn), SignatureId(12345))
    check_page(await site.client.get(f"/en/signature/{nobody}"), 410)
    check_page(await site.client.post(f"/en/signature/{nobody}", data={"action": "withdraw"}), 410)
    for token in (signature.token[:-2], "x"):
        for page in (f"/en/signature/{token}", f"/en/signature/{token}/data.json"):
            check_page(await site.client.get(page), 404)
        check_page(await site.client.post(f"/en/signature/{token}", data={"action": "withdraw"}), 404)
    elsewhere = {"sec-fetch-site": "cross-site"}
    check_page(await site.client.post(signature.own, data={"action": "delete"}, headers=elsewhere), 403)
    assert (await check_count(site))["people"] == 1


@pytest.mark.parametrize("form", [{}, {"action": ""}, {"action": "approve"}, {"action": "Delete"}])
async def test_an_unknown_act_changes_nothing(site: Installation, form: dict[str, str]) -> None:
    signature = await confirmed(site)
    before = await row_of(signature)
    check_page(await site.client.post(signature.own, data=form), 422)
    assert await row_of(signature) == before


@pytest.mark.parametrize("before", ["public", "organizers", "counted"])
@pytest.mark.parametrize("after", ["public", "organizers", "counted"])
async def test_whoever_sees_the_name_changes(site: Installation, before: str, after: str) -> None:
    signature = await confirmed(site, visibility=before, **DETAILS)
    await confirmed(site, "other@letters.example", name="Пётр Иванов")
    for _ in range(2):  # the second time is harmless
        answer = await act(signature, "visibility", visibility=after, name="Вера Новак")
        assert_redirect(answer, f"{signature.own}?done=visibility")
    assert await check_count(site) == {"people": 2, "organizations": 0, "hidden": int(after != "public"), "imported": 0}
    row = await row_of(signature)
    assert row["visibility"] == after
    assert row["country"] == (None if "counted" in {before, after} else "RU")
    name = "Вера Новак" if before == "counted" else "Vera Novak"
    details = {} if before == "counted" else {"city": "Уфа", "affiliation": "Учитель"}
    plain = {key: row[key] for key in ("name", "city", "affiliation") if row[key]}
    assert plain == ({"name": name, **details} if after == "public" else {})
    assert (row["private"] is not None) == (after == "organizers")
    assert (row["name_key"] is not None) == (after == "public")
    document = (await site.client.get(f"{signature.own}/data.json")).json()
    assert document["name"] == (None if after == "counted" else name)
    assert document["city"] == (None if after == "counted" else details.get("city"))
    words = {row["word"] for row in await rows.rows_of(site.database, "SELECT word FROM name_word")}
    assert words == {"петр", "иванов", *(name.lower().split() if after == "public" else [])}
    listed = await site.client.get(f"/en/{SLUG}/signatories")
    assert (name in listed.text) == (after == "public")
    check_page(await site.client.get(f"{signature.own}?done=visibility"), 200)


@pytest.mark.parametrize(
    ("before", "form", "field"),
    [
        ("public", {"visibility": "everybody"}, "visibility"),
        ("public", {}, "visibility"),
        ("counted", {"visibility": "public"}, "name"),
        ("counted", {"visibility": "organizers", "name": "spam.com"}, "name"),
    ],
)
async def test_what_is_wrong_with_a_choice_is_said(
    site: Installation, before: str, form: dict[str, str], field: str
) -> None:
    signature = await confirmed(site, visibility=before)
    row = await row_of(signature)
    page = await act(signature, "visibility", **form)
    check_page(page, 422)
    assert f'id="e-{field}"' in page.text
    assert form.get("name", "") in page.text
    assert await row_of(signature) == row


async def test_a_name_is_corrected(site: Installation) -> None:
    public = await confirmed(site, name="Vera Novack")
    hidden = await confirmed(site, "other@letters.example", visibility="organizers", city="Уфа")
    for signature in (public, hidden):
        for _ in range(2):
            assert_redirect(await act(signature, "correct", name=" Вера  Новак "), f"{signature.own}?done=correct")
        assert (await site.client.get(f"{signature.own}/data.json")).json()["name"] == "Вера Новак"
    words = {row["word"] for row in await rows.rows_of(site.database, "SELECT word FROM name_word")}
    assert words == {"вера", "новак"}
    assert (await site.client.get(f"{hidden.own}/data.json")).json()["city"] == "Уфа"
    assert (await row_of(hidden))["name"] is None
    assert await check_count(site) == NOTHING | {"people": 2, "hidden": 1}


@pytest.mark.parametrize("name", ["", "   ", "www.spam.example", "я" * 201, "12345"])
async def test_a_wrong_correction_is_refused_and_comes_back(site: Installation, name: str) -> None:
    signature = await confirmed(site)
    page = await act(signature, "correct", name=name)
    check_page(page, 422)
    assert 'id="e-name"' in page.text
    if name.strip():
        assert form_in(page, signature.own)["name"] == name
    assert (await row_of(signature))["name"] == "Vera Novak"


async def test_there_is_nothing_to_correct_where_no_name_was_written(site: Installation) -> None:
    signature = await confirmed(site, visibility="counted")
    check_page(await act(signature, "correct", name="Vera Novak"), 422)
    assert (await row_of(signature))["name"] is None


@pytest.mark.parametrize("visibility", ["public", "organizers", "counted"])
async def test_withdrawing_erases_column_by_column_and_frees_the_mailbox(site: Installation, visibility: str) -> None:
    other = await Waiting.of(site)  # another try of the same mailbox, never confirmed
    signature = await confirmed(site, visibility=visibility, updates="1", **DETAILS)
    await execute(site, "UPDATE signature SET network = '\\x01', signals = '{\"tagged\": true}'")
    for _ in range(2):
        assert_redirect(await act(signature, "withdraw"), f"{signature.own}?done=withdraw")
    row = await row_of(signature)
    assert {key for key, value in row.items() if value not in (None, [])} <= KEPT
    assert (row["state"], row["visibility"]) == ("withdrawn", "counted")
    assert await check_count(site) == NOTHING
    for table in ("contact", "name_word", "pending"):
        assert await rows.rows_of(site.database, f"SELECT 1 FROM {table}") == [], table
    page = await site.client.get(signature.own)
    check_page(page, 200)
    assert "Vera Novak" not in page.text
    document = (await site.client.get(f"{signature.own}/data.json")).json()
    assert [document[key] for key in ("name", "city", "affiliation", "country", "read_lang")] == [None] * 5
    check_page(await site.client.get(other.link), 410)
    for action in ("visibility", "correct"):
        check_page(await act(signature, action, visibility="public", name="Vera Novak"), 422)
    # The mailbox may sign again; the withdrawn signature stays what it is.
    again = await confirmed(site)
    assert await check_count(site) == NOTHING | {"people": 1}
    assert (await row_of(signature))["state"] == "withdrawn"
    assert (await row_of(again))["state"] == "confirmed"


@pytest.mark.parametrize("visibility", ["public", "organizers", "counted"])
async def test_deleting_leaves_no_row(site: Installation, visibility: str) -> None:
    await Waiting.of(site)
    signature = await confirmed(site, visibility=visibility, updates="1", **DETAILS)
    for _ in range(2):
        assert_redirect(await act(signature, "delete"), f"/en/{SLUG}/deleted")
    for table in ("signature", "contact", "name_word", "pending"):
        assert await rows.rows_of(site.database, f"SELECT 1 FROM {table}") == [], table
    assert await check_count(site) == NOTHING
    page = await site.client.get(f"/en/{SLUG}/deleted")
    check_page(page, 200)
    assert f'href="/en/{SLUG}"' in page.text
    for address in (signature.own, signature.link):
        page = await site.client.get(address)
        check_page(page, 410)
        assert "was deleted, or it was not confirmed" in page.text
        assert f'href="/en/{SLUG}#sign"' in page.text
    check_page(await site.client.post(signature.link), 410)


async def test_deleting_what_still_waits_leaves_no_row_either(site: Installation) -> None:
    waiting, other = await Waiting.of(site), await Waiting.of(site, "other@letters.example")
    assert_redirect(await act(waiting, "delete"), f"/en/{SLUG}/deleted")
    left = await rows.rows_of(site.database, "SELECT id FROM pending")
    assert [row["id"] for row in left] == [other.id]


async def test_a_removed_signature_cannot_be_changed_and_stays_barred(site: Installation) -> None:
    signature = await confirmed(site)
    await execute(site, "UPDATE signature SET state = 'removed'")
    await execute(site, "UPDATE count SET people = 0")
    await execute(site, "UPDATE count_hour SET people = 0")
    for action in ("visibility", "correct", "withdraw"):
        check_page(await act(signature, action, visibility="organizers", name="Vera Novak"), 422)
    assert (await row_of(signature))["state"] == "removed"
    assert_redirect(await act(signature, "delete"), f"/en/{SLUG}/deleted")
    assert await rows.rows_of(site.database, "SELECT 1 FROM signature") == []
    assert await check_count(site) == NOTHING
    again = await Waiting.of(site)
    check_page(await site.client.post(again.link), 410)
    assert await check_count(site) == NOTHING


async def test_a_representatives_page(site: Installation) -> None:
    fields = {"organization_en": "North Pier", "website": "https://northpier.example", "position": "Director"}
    signature = await confirmed(site, "anna@northpier.example", **fields)
    page = await site.client.get(signature.own)
    check_page(page, 200)
    for text in ("North Pier", "https://northpier.example", "Director", "Vera Novak"):
        assert text in page.text
    assert 'value="counted"' not in page.text.partition("</style>")[2]
    check_page(await act(signature, "visibility", visibility="counted"), 422)
    assert_redirect(await act(signature, "visibility", visibility="organizers"), f"{signature.own}?done=visibility")
    assert_redirect(await act(signature, "correct", name="Anna Berg"), f"{signature.own}?done=correct")
    document = (await site.client.get(f"{signature.own}/data.json")).json()
    assert (document["name"], document["visibility"], document["state"]) == ("Anna Berg", "organizers", "held")
    assert document["organization_en"] == "North Pier"
    assert_redirect(await act(signature, "withdraw"), f"{signature.own}?done=withdraw")
    row = await row_of(signature)
    assert {key for key, value in row.items() if value not in (None, [])} <= KEPT
    assert await rows.rows_of(site.database, "SELECT 1 FROM contact") == []
    assert await check_count(site) == NOTHING


async def test_an_approved_organization_goes_with_its_last_representative(site: Installation) -> None:
    fields = {"organization_en": "North Pier", "position": "Director"}
    first = await confirmed(site, "anna@northpier.example", **fields)
    second = await confirmed(site, "boris@northpier.example", **fields, name="Boris Berg", visibility="organizers")
    async with site.database.transaction() as conn:
        assert await approve.approve(conn, Wrapper([KEY]), [first.id, second.id])
    assert await check_count(site) == NOTHING | {"organizations": 1}
    listing = f"/en/{SLUG}/signatories?kind=organization"
    page_text = (await site.client.get(listing)).text
    assert "North Pier" in page_text
    assert "Vera Novak" in page_text
    assert "Boris Berg" not in page_text
    assert_redirect(await act(first, "visibility", visibility="organizers"), f"{first.own}?done=visibility")
    assert_redirect(await act(second, "visibility", visibility="public"), f"{second.own}?done=visibility")
    page_text = (await site.client.get(listing)).text
    assert "Vera Novak" not in page_text
    assert "Boris Berg" in page_text
    document = (await site.client.get(f"{first.own}/data.json")).json()
    assert (document["organization_en"], document["name"], document["position"]) == (
        "North Pier",
        "Vera Novak",
        "Director",
    )
    assert_redirect(await act(first, "withdraw"), f"{first.own}?done=withdraw")
    assert await check_count(site) == NOTHING | {"organizations": 1}
    assert_redirect(await act(second, "delete"), f"/en/{SLUG}/deleted")
    assert await check_count(site) == NOTHING
    for table in ("organization", "name_word", "contact"):
        assert await rows.rows_of(site.database, f"SELECT 1 FROM {table}") == [], table
    assert "North Pier" not in (await site.client.get(listing)).text


KEPT_ADDRESSES = "SELECT purpose FROM contact WHERE signature = $1 ORDER BY 1"


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_no_more_news(site: Installation, lang: str) -> None:
    signature = await confirmed(site, updates="1")
    own = signature.own.replace("/en/", f"/{lang}/")
    page = await site.client.get(own)
    assert {"en": "until you stop the news", "ru": "пока вы не\u00a0откажетесь"}[lang] in page.text
    for _ in range(2):  # the second time changes nothing
        answer = await site.client.post(own, data={"action": "news"})
        assert_redirect(answer, f"{own}?done=news")
        assert await rows.rows_of(site.database, KEPT_ADDRESSES, signature.id) == []
    page = await site.client.get(f"{own}?done=news")
    assert {"en": "You will get no more news.", "ru": "Новостей больше не\u00a0будет."}[lang] in page.text
    assert 'value="news"' not in page.text
    assert (await row_of(signature))["state"] == "confirmed"
    assert (await check_count(site))["people"] == 1


async def test_news_can_be_asked_for_again_with_the_address_that_signed(site: Installation) -> None:
    signature = await confirmed(site, updates="1")
    sealed = await rows.rows_of(site.database, "SELECT sealed FROM contact")
    await act(signature, "news")
    for typed in ("someone@letters.example", "no address", ""):
        refused = await site.client.post(signature.own, data={"action": "start_news", "email": typed})
        check_page(refused, 422)
        assert await rows.rows_of(site.database, KEPT_ADDRESSES, signature.id) == []
    for _ in range(2):
        form = {"action": "start_news", "email": VERA}
        answer = await site.client.post(signature.own, data=form)
        assert_redirect(answer, f"{signature.own}?done=start_news")
        assert await rows.rows_of(site.database, KEPT_ADDRESSES, signature.id) == [{"purpose": "updates"}]
    assert await rows.rows_of(site.database, "SELECT sealed FROM contact") != sealed  # sealed anew
    assert "You will get news" in (await site.client.get(f"{signature.own}?done=start_news")).text


async def test_a_representative_says_stop_and_is_still_there_for_questions(site: Installation) -> None:
    fields = {"organization_en": "North Pier", "updates": "1"}
    signature = await confirmed(site, **fields)
    assert "until 30 days after the organizers’ decision" in (await site.client.get(signature.own)).text
    await act(signature, "news")
    contacts = await rows.rows_of(site.database, KEPT_ADDRESSES, signature.id)
    assert contacts == [{"purpose": "representative"}]
    async with site.database.transaction() as conn:
        await approve.approve(conn, Wrapper([KEY]), [signature.id])
    page = await site.client.get(signature.own)
    assert "for questions about the organizers’ decision" in page.text
    document = (await site.client.get(f"{signature.own}/data.json")).json()
    assert document["address_kept_for"] == ["representative"]
    assert document["representatives_kept_until"].endswith("Z")


async def test_news_can_be_stopped_after_a_removal_too(site: Installation) -> None:
    signature = await confirmed(site, updates="1")
    await execute(site, "UPDATE signature SET state = 'removed' WHERE id = $1", signature.id)
    assert 'value="news"' in (await site.client.get(signature.own)).text
    await act(signature, "news")
    assert await rows.rows_of(site.database, KEPT_ADDRESSES, signature.id) == []
    page = await site.client.get(signature.own)
    assert 'value="news"' not in page.text


async def test_details_are_corrected_and_erased(site: Installation) -> None:
    signature = await confirmed(site)
    details = {"affiliation": " Врач ", "city": "Томск", "country": "Германия"}
    answer = await act(signature, "correct", name="Vera Novak", **details)
    assert_redirect(answer, f"{signature.own}?done=correct")
    form = form_in(await site.client.get(signature.own), signature.own)
    assert form["visibility"] == "public"
    data = (await site.client.get(f"{signature.own}/data.json")).json()
    assert (data["affiliation"], data["city"], data["country"]) == ("Врач", "Томск", "DE")
    assert "Томск" in (await site.client.get(f"/en/{SLUG}/signatories")).text
    await act(signature, "correct", name="Vera Novak")  # as the contract has it: what is not sent stays
    assert (await site.client.get(f"{signature.own}/data.json")).json()["city"] == "Томск"
    await act(signature, "correct", name="Vera Novak", city="", country="")
    data = (await site.client.get(f"{signature.own}/data.json")).json()
    assert (data["affiliation"], data["city"], data["country"]) == ("Врач", None, None)
    assert (await check_count(site))["people"] == 1


async def test_there_is_one_primary_button(site: Installation) -> None:
    signature = await confirmed(site)
    page = (await site.client.get(signature.own)).text
    assert page.count("<button>") == 1
