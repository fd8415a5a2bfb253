"""Every public page in every state worth looking at, with a crowd of names as they are."""

import csv
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from petition.cli.approve import approve
from petition.cli.signatures import import_file
from petition.core.audit_log import Actor
from petition.core.encryption import Wrapper
from petition.core.ids import AddresseeId, LetterId, SignatureId
from petition.core.tokens import Tokens
from petition.moderation import message_threads, second_mailbox
from petition.signatures import queries as signatures
from tests import rows
from tests.addressees.records import addressee_ids, record
from tests.browser.visitor import STEP, Town, Visitor
from tests.crowd import Crowd
from tests.running import KEY, SAMPLE, SLUG, publish

QUIET, CLOSED, LONG = "quiet-letter", "closed-letter", "long-letter"
CLOSE = "UPDATE letter SET state = 'closed', closed_at = now() WHERE slug = $1"
TURNED = "Vera \N{RIGHT-TO-LEFT OVERRIDE}kavoN"
LONG_NAME = "Maximilian Aurelius Bartholomew " * 6 + "de Vries"  # 200 characters
PEOPLE = (
    ("Anna", "Zürich", "", "CH"),
    ("Bo", "", "", ""),
    (LONG_NAME, "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch", "Pneumonoultramicroscopic" * 4, "GB"),
    ("Донаудампфшиффартсэлектрицитетенхауптбетрибсверкбауунтербеамтенгезельшафт", "Вена", "", "AT"),
    ("محمد بن عبد الله", "الدار البيضاء", "", "MA"),
    ("李", "北京", "工程师", ""),
)
ORGANIZATIONS = (
    "Open Networks Fund // Фонд открытых сетей",
    "ИП Петров «Связь",
    "IT.Partners LLP (Riga",
    "Ассоциация независимых провайдеров и операторов связи северо-западных регионов и прилегающих территорий",
)
WEBSITE = "https://a-rather-long-domain-name-of-some-organization.partners.example/about"
PERSON_ERRORS = {
    "name": "https://spam.example",
    "email": "vera@localhost",
}
ORGANIZATION_ERRORS = {
    "organization_en": "See www.spam.example",
    "organization_ru": "пишите на info@spam.example",
    "name": "12345",
    "email": "vera@@letters.example",
}

SUBMIT = """form => {
  form.elements.altcha?.remove();
  form.submit();
}"""

Way = Callable[[Visitor], Awaitable[None]]


@dataclass(frozen=True)
class Gallery:
    """A furnished town, and the paths that only some of its people have (without the language)."""

    town: Town
    paths: Mapping[str, str]


async def furnish(town: Town, folder: Path) -> Gallery:
    """Publish letters of several kinds, fill one with a crowd, and have some people sign in every way."""
    site = town.site
    await publish_copy(town, folder / "second", more="\nA sentence that came later.\n")
    await publish_copy(town, folder / "quiet", QUIET, drop="ru", settings="names_in_search = true")
    await publish_copy(town, folder / "closed", CLOSED)
    await publish_copy(town, folder / "long", LONG, more="\n\n" + "\n\n".join(paragraphs(60_000)))
    crowd = folder / "crowd.csv"
    _write_crowd(crowd)
    await import_file(site.database, Wrapper([KEY]), SLUG, crowd)
    async with site.database.connection() as conn:
        await conn.execute(CLOSE, CLOSED)
    return Gallery(town, await _sign_in_every_way(town) | await _hear_addressees(town))


async def _hear_addressees(town: Town) -> dict[str, str]:
    """Have one addressee of the crowded and the closed letter silent, another answer; return the paths of its links."""
    now = datetime.now(UTC)
    links = []
    for slug in (SLUG, CLOSED):
        ids = await addressee_ids(town.site.database, slug)
        summary = {"en": "We will renew the certificates until the year ends.", "ru": "Продлим сертификаты."}
        for name in ("Meridian Networks", "Halden Cloud"):
            await record(town.site.database, name, "delivered", now - timedelta(days=61), slug=slug)
        await record(town.site.database, "Halden Cloud", "changed_course", now, summary=summary, slug=slug)
        async with town.site.database.connection() as conn:
            letter_id = await conn.fetchval(OPEN_LINKS, slug)
        links.append(Tokens([KEY]).for_answer(letter_id, AddresseeId(ids["Halden Cloud"]), 1, mailed=True))
    return {"answer": f"/{SLUG}/answer/{links[0]}"}


OPEN_LINKS = """
WITH letters AS (SELECT id FROM letter WHERE slug = $1), opened AS (
  UPDATE addressee SET link_until = now() + interval '1 day' WHERE letter IN (SELECT id FROM letters)
)
SELECT id FROM letters
"""


def paragraphs(size: int) -> list[str]:
    """Return so many bytes of text that does not compress into nothing, in paragraphs."""
    names = Crowd(seed=5).names()
    text: list[str] = []
    while sum(len(each.encode()) for each in text) < size:
        text.append(" ".join(next(names) for _ in range(40)) + ".")
    return text


async def publish_copy(
    town: Town, folder: Path, slug: str = SLUG, *, more: str = "", drop: str = "", settings: str = ""
) -> None:
    """Publish the sample letter again under another short name, or with more text, or without a language."""
    shutil.copytree(SAMPLE, folder)
    toml = folder / "letter.toml"
    toml.write_text(toml.read_text().replace(f'slug = "{SLUG}"', f'slug = "{slug}"\n{settings}'))
    for text in folder.glob("*.md"):
        text.write_text(text.read_text() + more)
    if drop:
        (folder / f"{drop}.md").unlink()
    await publish(town.site.settings, town.site.database, folder)


def _write_crowd(path: Path) -> None:
    crowd = Crowd().names()
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["kind", "name", "affiliation", "city", "country", "visibility"])
        out.writerows(["person", next(crowd), "", "", "", "public"] for _ in range(120))
        out.writerows(["person", name, work, city, country, "public"] for name, city, work, country in PEOPLE)
        out.writerows(["organization", name, "", "", "", ""] for name in ORGANIZATIONS)
        out.writerow(["person", "", "", "", "", "counted"])


async def _sign_in_every_way(town: Town) -> dict[str, str]:
    site = town.site
    person = {"name": "Vera Novak", "city": "Tallinn", "country": "EE", "affiliation": "Network engineer"}
    representative = {
        "name": "Anna Chiara",
        "position": "Director",
        "organization_en": "North Pier Network",
        "organization_ru": "Сеть «Северный причал»",
        "website": "https://northpier.example",
        "country": "EE",
    }
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)

        async def pending(whose: str, fields: Mapping[str, str], age: timedelta = timedelta()) -> str:
            (place,) = await rows.add_pending(conn, letter, [f"{whose}@album.example"], age, **fields)
            return rows.token(letter, place)

        tokens = {
            "pending": await pending("pending", person),
            "waiting": await pending("waiting", representative),
            "gone": await pending("gone", person, timedelta(days=8)),
            "public": await pending("public", person),
            "counted": await pending("counted", {"visibility": "counted"}),
            "held": await pending("held", representative),
            "approved": await pending("approved", representative | {"website": WEBSITE}),
            "withdrawn": await pending("withdrawn", person),
            "removed": await pending("removed", person),
        }
        own = ("public", "counted", "held", "approved", "withdrawn", "removed")
        for name in own:
            answer = await site.client.post(f"/en/confirm/{tokens[name]}")
            assert answer.status_code == 303, (name, answer.text)
        answer = await site.client.post(f"/en/signature/{tokens['withdrawn']}", data={"action": "withdraw"})
        assert answer.status_code == 303, answer.text
        places = {name: Tokens([KEY]).read_signature(token)[1] for name, token in tokens.items()}
        await conn.execute("UPDATE signature SET state = 'removed' WHERE id = $1", places["removed"])
        async with conn.transaction():
            assert await approve(conn, Wrapper([KEY]), [places["approved"]])
            message = await message_threads.add_sent(
                conn, Actor(None, letter.id), letter.keys, places["held"], "Who are you?\nPlease answer."
            )
            await message_threads.answer(conn, letter.id, letter.keys, message, "Anna Chiara, the director.")
            await second_mailbox.store_answer(conn, letter.id, places["approved"], second_mailbox.NO)
            await signatures.suppress_mailbox(conn, b"s" * 16)
            await conn.execute(
                "INSERT INTO contact (letter, signature, purpose, sealed) VALUES ($1, $2, 'updates', 'sealed')",
                letter.id,
                places["public"],
            )
    maker = Tokens([KEY])
    paths = {name: f"/{'signature' if name in own else 'confirm'}/{token}" for name, token in tokens.items()}
    return paths | {
        "never": f"/never/{maker.for_never(b'd' * 16)}",
        "suppressed": f"/never/{maker.for_never(b's' * 16)}",
        "news": f"/{SLUG}/unsubscribe/{maker.for_updates(letter.id, places['public'])}",
        "no-news": f"/{SLUG}/unsubscribe/{maker.for_updates(letter.id, places['counted'])}",
        "no-news-gone": f"/{SLUG}/unsubscribe/{maker.for_updates(letter.id, places['withdrawn'])}",
        "news-test": f"/{SLUG}/unsubscribe/{maker.for_updates(LetterId(0), SignatureId(0))}",
        "second": f"/second/{maker.for_second(letter.id, places['held'])}",
        "second-no": f"/second/{maker.for_second(letter.id, places['approved'])}",
        "reply": f"/reply/{maker.for_reply(letter.id, message)}",
    }


def ways(gallery: Gallery) -> dict[str, Way]:
    """Return by name how to come to each page in each state."""
    of = gallery.paths
    return {
        "index": to("/"),
        "letter": to(f"/{SLUG}"),
        "letter-organization": to(f"/{SLUG}?as=organization"),
        "letter-one-language": to(f"/{QUIET}"),
        "letter-closed": to(f"/{CLOSED}"),
        "letter-long": to(f"/{LONG}"),
        "errors-person": _with_errors("", PERSON_ERRORS),
        "errors-organization": _with_errors("?as=organization", ORGANIZATION_ERRORS),
        "one-more-step": _one_more_step,
        "one-more-step-wrong": _wrong_code,
        "ask-address": _ask_address,
        "inbox-sent": _inbox_sent,
        "inbox": to(f"/{SLUG}/check-your-inbox"),
        "inbox-errors": _inbox_errors,
        "confirm": to(of["pending"]),
        "confirm-organization": to(of["waiting"]),
        "gone": to(of["gone"]),
        "signed": to(f"/{SLUG}/signed"),
        "signed-organization": to(f"/{SLUG}/signed?as=organization"),
        "own": _opened(of["public"] + "?done=correct"),
        "own-errors": _own_errors(of["public"]),
        "own-counted": to(of["counted"]),
        "own-held": to(of["held"]),
        "own-withdrawn": to(of["withdrawn"] + "?done=withdraw"),
        "own-removed": to(of["removed"]),
        "find": to(f"/{SLUG}/find"),
        "find-sent": to(f"/{SLUG}/find?sent=1"),
        "list": to(f"/{SLUG}/signatories?kind=person"),
        "list-further": _further,
        "list-organizations": to(f"/{SLUG}/signatories?kind=organization"),
        "list-search": to(f"/{SLUG}/signatories?kind=person&q=иванав"),
        "list-no-hits": to(f"/{SLUG}/signatories?kind=organization&q=Zzyzx"),
        "list-empty": to(f"/{QUIET}/signatories?kind=person"),
        "versions": to(f"/{SLUG}/versions"),
        "text": to(f"/{LONG}/text"),
        "privacy": to("/privacy"),
        "security": to("/security"),
        "never": to(of["never"]),
        "never-suppressed": to(of["suppressed"]),
        "never-allowed": to(of["never"] + "?done=1"),
        **{name: to(of[name]) for name in ("news", "no-news", "no-news-gone", "news-test")},
        "second": to(of["second"]),
        "second-no": to(of["second-no"]),
        "reply": to(of["reply"]),
        "answer": to(of["answer"]),
        "answer-sent": to(of["answer"] + "?done=answer"),
        "answer-errors": _answer_errors(of["answer"]),
        "answers": to(f"/{SLUG}/answers"),
        "answers-none": to(f"/{QUIET}/answers"),
        "reply-sent": to(of["reply"] + "?sent=1"),
        "not-found": to("/no-such-letter"),
    }


def _answer_errors(path: str) -> Way:
    async def go(visitor: Visitor) -> None:
        await visitor.follow(f"/{visitor.lang}{path}")
        await visitor.page.fill("#f-name", "Nora Lind")
        async with visitor.page.expect_navigation():
            await visitor.page.click("form[enctype] button")

    return go


def to(path: str) -> Way:
    """Return the way to a path, without the language."""

    async def go(visitor: Visitor) -> None:
        await visitor.follow(f"/{visitor.lang}{path}")

    return go


def _opened(path: str) -> Way:
    async def go(visitor: Visitor) -> None:
        await visitor.follow(f"/{visitor.lang}{path}")
        for summary in await visitor.page.locator("summary").all():
            await summary.click()

    return go


def _with_errors(query: str, typed: Mapping[str, str]) -> Way:
    async def go(visitor: Visitor) -> None:
        await visitor.open(query)
        for name, value in typed.items():
            await visitor.page.fill(f"#f-{name}", value)
        await submit(visitor, "#sign-form")

    return go


async def submit(visitor: Visitor, form: str) -> None:
    """Send a form as a browser without scripts would that lets anything pass."""
    async with visitor.page.expect_navigation():
        await visitor.page.eval_on_selector(form, SUBMIT)


async def _one_more_step(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.fill(email="vera@album.example")
    await submit(visitor, "#sign-form")
    await visitor.page.wait_for_selector(STEP)


async def _ask_address(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.fill(email="vera@gmail.con")
    await submit(visitor, "#sign-form")
    await visitor.page.wait_for_selector("#ask-form")


async def _inbox_sent(visitor: Visitor) -> None:
    await visitor.sign(email="vera.novak.with.a.long.name@album.example")


async def _wrong_code(visitor: Visitor) -> None:
    await _one_more_step(visitor)
    await visitor.page.fill("#f-code", "WRONG")
    await submit(visitor, STEP)


async def _inbox_errors(visitor: Visitor) -> None:
    await visitor.open("/check-your-inbox")
    await visitor.page.fill("#f-email", "vera@nowhere")
    await visitor.page.fill("#f-code", "12")
    await submit(visitor, "main form")


def _own_errors(path: str) -> Way:
    async def go(visitor: Visitor) -> None:
        await visitor.follow(f"/{visitor.lang}{path}")
        await visitor.page.fill("#f-name", "12345")
        await submit(visitor, "form:has([value=correct])")

    return go


async def _further(visitor: Visitor) -> None:
    await visitor.open("/signatories?kind=person")
    await visitor.page.click("a[rel=next]")
    await visitor.page.wait_for_url("**after=**")
