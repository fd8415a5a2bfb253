"""A letter in and out of its folder, and into a draft that is being written at the desk."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from petition.core.database import Database, opened
from petition.core.encryption import Wrapper
from petition.core.errors import ImportRefused
from petition.drafts import publishing
from tests import rows
from tests.drafts.desk import picture
from tests.running import KEY

LANGUAGES = ("en", "ru")
SLUG = "round-trip"
TOML = """\
slug = "round-trip"
goal = 5
closes_at = 2099-12-31T21:00:00.000001Z
names_in_search = true
next_goals = [6, 70]
sharing.en = "Read \\"this\\""
sharing.ru = "Прочтите"
picture_alt.ru = "Море"

[[initiators]]
name.en = "We"

[[addressees]]
name.en = "You"
name.ru = "Вы"
url = "https://you.example/"
"""
FRAME = "SELECT goal, names_in_search, version FROM letter"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url, max_size=2) as database:
        yield database


def folder(path: Path, toml: str = TOML, text: str = "Text.") -> Path:
    path.mkdir()
    (path / "letter.toml").write_text(toml, encoding="utf-8")
    (path / "en.md").write_text(f"# Title\n\n{text}\n", encoding="utf-8")
    (path / "ru.md").write_text("# Имя\n\n- Текст\n", encoding="utf-8")
    (path / "ru.jpg").write_bytes(picture("JPEG", comment=b"kept"))
    return path


def content(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir()}


async def take_in(database: Database, path: Path) -> None:
    await publishing.import_folder(database, Wrapper([KEY]), path, LANGUAGES)


async def test_a_letter_goes_round_byte_by_byte(database: Database, tmp_path: Path) -> None:
    source = folder(tmp_path / "a")
    await take_in(database, source)
    await publishing.export_folder(database, SLUG, tmp_path / "b")
    assert content(tmp_path / "b") == content(source)
    assert await publishing.publish(database, SLUG) == 1
    await take_in(database, tmp_path / "b")
    assert await publishing.publish(database, SLUG) is None
    await publishing.export_folder(database, SLUG, tmp_path / "c")
    assert content(tmp_path / "c") == content(source)


async def test_readers_see_nothing_of_an_import_before_it_is_published(database: Database, tmp_path: Path) -> None:
    await take_in(database, folder(tmp_path / "a"))
    await publishing.publish(database, SLUG)
    changed = folder(tmp_path / "b", TOML.replace("goal = 5", "goal = 4"), "Another text.")
    (changed / "ru.jpg").unlink()
    await take_in(database, changed)
    assert await rows.rows_of(database, FRAME) == [{"goal": 5, "names_in_search": True, "version": 1}]
    assert len(await rows.rows_of(database, "SELECT FROM sharing WHERE picture IS NOT NULL")) == 1
    await publishing.export_folder(database, SLUG, tmp_path / "c")
    assert content(tmp_path / "c") == content(changed)
    assert await publishing.publish(database, SLUG) == 2
    assert await rows.rows_of(database, FRAME) == [{"goal": 4, "names_in_search": True, "version": 2}]
    assert await rows.rows_of(database, "SELECT FROM picture") == []
    acts = [row["act"] for row in await rows.rows_of(database, "SELECT act FROM log ORDER BY id")]
    assert acts == ["letter.import", "letter.publish", "letter.import", "letter.frame", "letter.publish"]


async def test_names_in_search_cannot_be_switched_on_afterwards(database: Database, tmp_path: Path) -> None:
    without = TOML.replace("names_in_search = true\n", "")
    await take_in(database, folder(tmp_path / "a", without))
    await take_in(database, folder(tmp_path / "b"))  # nobody has signed yet
    await take_in(database, folder(tmp_path / "c", without))
    await publishing.publish(database, SLUG)
    with pytest.raises(ImportRefused) as caught:
        await take_in(database, tmp_path / "b")
    assert caught.value.problems == ("letter.toml: names_in_search: cannot be switched on once the letter has opened",)
    assert (await rows.rows_of(database, FRAME))[0]["names_in_search"] is False


async def test_it_can_be_switched_off(database: Database, tmp_path: Path) -> None:
    await take_in(database, folder(tmp_path / "a"))
    await publishing.publish(database, SLUG)
    await take_in(database, folder(tmp_path / "b", TOML.replace("names_in_search = true\n", "")))
    await take_in(database, tmp_path / "a")  # as it still is for readers
    await take_in(database, tmp_path / "b")
    assert await publishing.publish(database, SLUG) is None
    assert (await rows.rows_of(database, FRAME))[0]["names_in_search"] is False
