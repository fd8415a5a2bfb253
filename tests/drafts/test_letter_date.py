"""A letter's own date: in a folder and at the desk, never in the future, and shown everywhere."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from petition.core.errors import Refused
from petition.drafts import draft_fields, letter_toml
from tests.commands import run
from tests.letters.folders import other_letter
from tests.running import Installation

SLUG = "older-letter"
LANGUAGES = ("en", "ru")


@pytest.mark.parametrize(
    ("line", "opened_at"),
    [
        ("opened_at = 2022-03-05", date(2022, 3, 5)),
        ("opened_at = 2022-03-05T00:00:00Z", datetime(2022, 3, 5, tzinfo=UTC)),
        ("opened_at = 2022-03-05T09:30:15Z", datetime(2022, 3, 5, 9, 30, 15, tzinfo=UTC)),
    ],
)
def test_a_day_or_a_moment_is_written_as_it_was_read(line: str, opened_at: date) -> None:
    text = f'slug = "older-letter"\n{line}\n'
    letter, problems = letter_toml.loads(text, LANGUAGES)
    assert problems == []
    assert letter is not None
    assert letter.opened_at == opened_at
    assert letter_toml.dumps(letter) == text
    fields = draft_fields.written(draft_fields.LetterFrame(opened_at=opened_at), {}, LANGUAGES)
    assert draft_fields.checked("opened_at", fields["opened_at"]) == fields["opened_at"]
    assert draft_fields.read_frame(fields, LANGUAGES).opened_at == opened_at


@pytest.mark.parametrize(
    "value", ['"2022-03-05"', "2022", "09:00:00", "1066-10-14", "9999-12-31", "2099-01-01T00:00:00Z", "[2022-03-05]"]
)
def test_anything_else_is_a_problem(value: str) -> None:
    letter, problems = letter_toml.loads(f'slug = "older-letter"\nopened_at = {value}\n', LANGUAGES)
    assert letter is None
    assert problems[0].startswith("opened_at: must be ")


def test_not_in_the_future() -> None:
    now = datetime.now(UTC)
    assert letter_toml.is_past(now.date())
    assert not letter_toml.is_past(now.date() + timedelta(days=1))
    assert not letter_toml.is_past(now + timedelta(hours=1))
    for typed in ("2099-01-01", "2099-01-01 10:00", "yesterday", "2022-02-30"):
        with pytest.raises(Refused):
            draft_fields.checked("opened_at", typed)
    assert draft_fields.checked("opened_at", " 2022-03-05 ") == "2022-03-05"
    assert draft_fields.checked("opened_at", "2022-03-05T09:00") == "2022-03-05T09:00:00"
    assert draft_fields.checked("opened_at", "") == ""


async def test_readers_and_programs_see_it(site: Installation, tmp_path: Path) -> None:
    folder = other_letter(tmp_path, SLUG)
    toml = (folder / "letter.toml").read_text(encoding="utf-8")
    assert "opened_at" not in toml
    first, *others = toml.splitlines(keepends=True)
    dated = "".join([first, "opened_at = 2022-03-05T09:00:00Z\n", *others])
    (folder / "letter.toml").write_text(_sorted_goal(dated), encoding="utf-8")
    assert (await run(f"letter import {folder} --publish", site.environ))[0] == 0
    for number in range(2):
        assert (await run(f"letter export {SLUG} {tmp_path / f'export{number}'}", site.environ))[0] == 0
        again = tmp_path / f"export{number}"
        assert (await run(f"letter import {again} --publish", site.environ))[0] == 0
    for path in (tmp_path / "export0").iterdir():
        assert path.read_bytes() == (tmp_path / "export1" / path.name).read_bytes()
    assert b"opened_at = 2022-03-05T09:00:00Z" in (tmp_path / "export0" / "letter.toml").read_bytes()
    await shows(site, f"/api/v1/letters/{SLUG}", '"opened_at":"2022-03-05T09:00:00Z"')
    await shows(site, f"/en/{SLUG}", '<time datetime="2022-03-05">5 March 2022</time>')
    await shows(site, f"/en/{SLUG}/versions", "5 March 2022")
    await shows(site, f"/en/{SLUG}/feed.atom", "<published>2022-03-05T09:00:00Z</published>")
    await shows(site, "/sitemap.xml", "<lastmod>2022-03-05T09:00:00Z</lastmod>")


async def test_taken_out_again_it_is_the_day_of_publication(site: Installation, tmp_path: Path) -> None:
    folder = other_letter(tmp_path, SLUG)
    path = folder / "letter.toml"
    toml = path.read_text(encoding="utf-8")
    assert (await run(f"letter import {folder} --publish", site.environ))[0] == 0
    published = (await site.client.get(f"/api/v1/letters/{SLUG}")).json()["opened_at"]
    first, *others = toml.splitlines(keepends=True)
    path.write_text("".join([first, "opened_at = 2022-03-05\n", *others]), encoding="utf-8")
    assert (await run(f"letter import {folder}", site.environ))[0] == 0
    assert (await site.client.get(f"/api/v1/letters/{SLUG}")).json()["opened_at"] == published  # a draft
    assert (await run(f"letter import {folder} --publish", site.environ))[0] == 0
    await shows(site, f"/api/v1/letters/{SLUG}", '"opened_at":"2022-03-05T00:00:00Z"')
    path.write_text(toml, encoding="utf-8")
    assert (await run(f"letter import {folder} --publish", site.environ))[0] == 0
    await shows(site, f"/api/v1/letters/{SLUG}", f'"opened_at":"{published}"')


async def shows(site: Installation, path: str, text: str) -> None:
    async with asyncio.timeout(60):
        while text not in (await site.client.get(path)).text:
            await asyncio.sleep(0.05)


def _sorted_goal(toml: str) -> str:
    """Return the file with the goal before the date, as an export writes it."""
    lines = toml.splitlines(keepends=True)
    goals = [line for line in lines if line.startswith("goal = ")]
    rest = [line for line in lines if not line.startswith("goal = ")]
    return "".join([rest[0], *goals, *rest[1:]])
