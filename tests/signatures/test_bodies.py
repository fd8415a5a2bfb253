"""Whatever is sent: a page of ours with the right status, never a traceback, never a 500."""

import asyncio
import base64
import contextlib
import secrets
import string
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from petition.web import http
from tests import rows
from tests.pages import check_page
from tests.running import SLUG, Installation

POSTS = (f"/en/{SLUG}/sign", f"/ru/{SLUG}/find", f"/en/{SLUG}/confirm")
URLENCODED = {"content-type": "application/x-www-form-urlencoded"}
# The installation is shared by all examples on purpose.
fuzzing = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"email=%00", 400),
        (b"email%00=a", 400),
        (b"email=%ff%fe", 400),
        (b"email=%ed%a0%80", 400),  # half of a surrogate pair
        (b"email=\xff\xfe", 400),
        (b"name=\xd0", 400),  # half a letter
        (b"&".join(b"f%d=x" % n for n in range(61)), 400),
        (b"email=" + b"x" * 65536, 413),
        (b"", 422),
        (b"&&&===;;;", 422),
        (b"email=%zz%", 422),
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_a_damaged_body(shared_site: Installation, path: str, body: bytes, status: int) -> None:
    answer = await shared_site.client.post(path, content=body, headers=URLENCODED | shared_site.new_network())
    check_page(answer, status, path[1:3])


@pytest.mark.parametrize("path", POSTS)
async def test_another_kind_of_body(shared_site: Installation, path: str) -> None:
    form = await shared_site.form()
    for answer in (
        await shared_site.client.post(path, files={"email": ("a.txt", b"vera@letters.example")}),
        await shared_site.client.post(path, json=form),
        await shared_site.client.post(path, content=b"email=a", headers={"content-type": "text/plain"}),
    ):
        check_page(answer, 415, path[1:3])


@pytest.mark.parametrize("path", POSTS)
async def test_a_body_of_unknown_length_is_too_much_at_the_same_size(shared_site: Installation, path: str) -> None:
    async def chunks() -> Any:
        for _ in range(70):
            yield b"x" * 1024

    answer = await shared_site.client.post(path, content=chunks(), headers=URLENCODED)
    check_page(answer, 413, path[1:3])


async def test_a_body_that_never_comes_is_given_up(shared_site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_TIMEOUT", 0.2)

    # A client of HTTP that is spoken to while it is still sending has to be written by hand.
    reader, writer = await asyncio.open_connection("127.0.0.1", shared_site.settings.port)
    head = f"POST {POSTS[0]} HTTP/1.1\r\nHost: localhost:{shared_site.settings.port}\r\nContent-Length: 1000\r\n\r\n"
    writer.write(head.encode())
    answer = b""
    async with asyncio.timeout(120):
        while b"</html>" not in answer:
            writer.write(b"x")
            with contextlib.suppress(TimeoutError):
                answer += await asyncio.wait_for(reader.read(65536), 0.05)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    # Whoever is slow keeps nobody waiting, and the server goes on.
    check_page(await shared_site.client.post(POSTS[0], content=b"", headers=URLENCODED), 422)


texts = st.text(max_size=300) | st.sampled_from(["", "0", "yes", "public", "organization", "Vera", "1" * 64])
FIELDS = (
    *("version", "kind", "name", "email", "visibility", "affiliation", "city", "country", "updates", "consent"),
    *("organization_en", "organization_ru", "website", "position"),
    *("altcha", "h-captcha-response", "code", "drawn"),
)
fields = st.sampled_from(FIELDS)


@fuzzing
@given(changes=st.dictionaries(fields | st.text(max_size=20), texts, max_size=12), organization=st.booleans())
@example(changes={"website": "https://[::1"}, organization=True)
@example(changes={"website": "https://xn--a/"}, organization=True)
@example(changes={"website": "https://example.org:port/"}, organization=True)
@example(changes={"email": "a@[127.0.0.1]"}, organization=False)
@example(changes={"email": '"a b"@letters.example'}, organization=False)
@example(changes={"email": "я@пример.рф", "country": "İ"}, organization=False)
@example(changes={"version": "é" * 64}, organization=False)
@example(changes={"altcha": "é", "drawn": "é", "code": "ABCDE"}, organization=False)
async def test_any_values_of_the_form(shared_site: Installation, changes: dict[str, str], organization: bool) -> None:
    well = await (shared_site.organization_form if organization else shared_site.form)(
        email=f"{secrets.token_hex(6)}@l.example"
    )
    body = urlencode(well | changes)
    sent = await shared_site.client.post(POSTS[0], content=body, headers=URLENCODED | shared_site.new_network())
    if sent.status_code == 303:
        assert sent.headers["location"] == f"/en/{SLUG}/check-your-inbox"
        await see_it_through(shared_site)
        return
    # A null byte is no text; everything else comes back to be corrected.
    check_page(sent, 400 if "%00" in body else 422)


async def see_it_through(site: Installation) -> None:
    """What was let in must be confirmable, showable and deletable as well."""
    (row,) = await rows.rows_of(site.database, "SELECT id FROM pending ORDER BY created_at DESC LIMIT 1")
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
    token = rows.token(letter, row["id"])
    check_page(await site.client.get(f"/ru/confirm/{token}"), 200, "ru")
    assert (await site.client.post(f"/en/confirm/{token}")).status_code == 303
    check_page(await site.client.get(f"/ru/signature/{token}"), 200, "ru")
    assert (await site.client.get(f"/en/signature/{token}/data.json")).status_code == 200
    for action in ("correct", "withdraw", "delete"):
        answer = await site.client.post(f"/en/signature/{token}", data={"action": action, "name": "Vera Novak"})
        assert answer.status_code in {303, 200, 422}


@fuzzing
@given(body=st.binary(max_size=400) | st.text(string.printable, max_size=400).map(str.encode))
async def test_any_bytes(shared_site: Installation, body: bytes) -> None:
    for path in POSTS:
        answer = await shared_site.client.post(path, content=body, headers=URLENCODED | shared_site.new_network())
        assert answer.status_code in {400, 422}, answer.text
        check_page(answer, answer.status_code, path[1:3])


@fuzzing
@given(action=texts, visibility=texts, name=texts)
async def test_any_values_on_ones_own_page(shared_site: Installation, action: str, visibility: str, name: str) -> None:
    async with shared_site.database.transaction() as conn:
        letter = await rows.letter(conn)
        (one,) = await rows.add_pending(conn, letter, [f"{secrets.token_hex(6)}@letters.example"])
    path = f"/en/signature/{rows.token(letter, one)}"
    await shared_site.client.post(path.replace("signature", "confirm"))
    for act in (action, "visibility", "correct"):
        form = urlencode({"action": act, "visibility": visibility, "name": name})
        answer = await shared_site.client.post(path, content=form, headers=URLENCODED)
        assert answer.status_code in {303, 422, 400 if "%00" in form else 422}
    check_page(await shared_site.client.get(path), 200)


paths = st.text(min_size=1, max_size=200).map(lambda text: quote(text, safe=""))
TOKEN_PAGES = ("/en/confirm/{}", "/ru/signature/{}", "/en/signature/{}/data.json", "/ru/never/{}")


@fuzzing
@given(token=paths | st.binary(min_size=1, max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
@example(token="%00")
@example(token="%ff%fe")
@example(token="a.b.c")
@example(token="%D1%8F")
async def test_a_wild_token_is_not_found(shared_site: Installation, token: str) -> None:
    for page in TOKEN_PAGES:
        answer = await shared_site.client.get(page.format(token))
        check_page(answer, 404, page[1:3])
    for page in TOKEN_PAGES[:2]:
        check_page(await shared_site.client.post(page.format(token)), 404, page[1:3])


async def test_a_token_with_one_bit_changed_or_cut_off_is_not_found(shared_site: Installation) -> None:
    async with shared_site.database.transaction() as conn:
        letter = await rows.letter(conn)
        (one,) = await rows.add_pending(conn, letter, ["flipped@letters.example"])
    token = rows.token(letter, one)
    raw = token.encode()
    wild = {bytes([*raw[:n], raw[n] ^ bit, *raw[n + 1 :]]) for n in range(len(raw)) for bit in (1, 2, 4)}
    wild |= {raw[:n] for n in range(1, len(raw))}
    opened = [
        token
        for token in sorted(wild)
        if (await shared_site.client.get(f"/en/confirm/{quote(token)}")).status_code != 404
    ]
    assert opened == []
    assert (await shared_site.client.get(f"/en/confirm/{token}")).status_code == 200
    for other in ("never", "signature"):
        answer = await shared_site.client.get(f"/en/{other}/{token}")
        assert answer.status_code == (404 if other == "never" else 303)
