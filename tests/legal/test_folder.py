"""The legal folder is made from what is stored and what was done; nothing in it names a person."""

import re
from pathlib import Path

import pytest

from petition.core.database import Database
from petition.legal import folder
from petition.stored_data import notice
from petition.stored_data.tables import TABLES
from petition.worker import deletions, main
from tests import commands
from tests.mail.installation import settings as worker_settings
from tests.moderation.desk import Bench
from tests.running import SLUG, Installation

LANGS = ("en", "ru")


async def written(site: Installation, target: Path, *more: str) -> str:
    """Run the command; return what it printed."""
    code, output = await commands.run(" ".join(["legal", str(target), *more]), site.environ)
    assert code == 0, output
    return output


async def test_all_documents_in_both_languages(site: Installation, tmp_path: Path) -> None:
    output = await written(site, tmp_path / "legal")
    for lang in LANGS:
        for name in folder.DOCUMENTS:
            path = tmp_path / "legal" / lang / f"{name}.md"
            assert str(path) in output
            text = path.read_text(encoding="utf-8")
            assert text.startswith("# ")
            assert re.match(r"# .+\n\n> .+\n\n\S", text), "a paragraph of its own follows the word of warning"
            assert {"en": "Draft of", "ru": "Черновик от"}[lang] in text  # said to be a draft to check
            assert not re.search(r"%\(|\{\{|\{%|None", text), path
    russian = (tmp_path / "legal" / "ru" / "2-impact-assessment.md").read_text(encoding="utf-8")
    assert len(re.findall("[а-яё]", russian.lower())) > 10 * len(re.findall("[a-z]", russian.lower()))


async def test_one_language_and_an_unknown_one(site: Installation, tmp_path: Path) -> None:
    await written(site, tmp_path / "one", "--lang", "ru")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["ru"]
    code, output = await commands.run(f"legal {tmp_path / 'none'} --lang de", site.environ)
    assert code == 1
    assert "there is no language de" in output


async def test_the_record_has_every_table_about_people(site: Installation, tmp_path: Path) -> None:
    await written(site, tmp_path, "--lang", "en")
    record = (tmp_path / "en" / "1-record-of-processing.md").read_text(encoding="utf-8")
    for table in TABLES.values():
        assert (f"(`{table.name}`)" in record) == table.is_personal
    assert SLUG in record
    privacy = (tmp_path / "en" / "3-privacy-notice.md").read_text(encoding="utf-8")
    (digest,) = re.findall("`([0-9a-f]{64})`", privacy)
    assert digest == notice.DIGESTS[notice.NOTICE_VERSION]["en"]


async def test_what_was_removed_is_told_without_names(bench: Bench, site: Installation, tmp_path: Path) -> None:
    vera, ivan = await bench.sign("Vera Novak", "Иван Петров")
    await bench.remove(vera)
    outcome = await bench.remove(ivan)
    await bench.undo(outcome.log_id)
    await written(site, tmp_path)
    for lang in LANGS:
        text = (tmp_path / lang / "6-statement-of-reasons.md").read_text(encoding="utf-8")
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{SLUG}`")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[3:] == ["2", "0", "1"]
    everything = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.md"))
    for name in ("Vera", "Novak", "Иван", "Петров"):
        assert name not in everything


async def test_deletions_are_counted_and_proven(site: Installation, tmp_path: Path) -> None:
    async with site.database.connection() as conn:
        await conn.execute(
            "INSERT INTO used_challenge SELECT sha256(n::text::bytea), now() - interval '2 hours'"
            " FROM generate_series(1, 7) n"
        )
    before = await folder_facts(site.database)
    assert before.overdue["used_challenge"] == 7
    chores = main.chores_of(worker_settings(tmp_path, site.environ["DATABASE_URL"]))
    await main.do_chores(site.database, [chore for chore in chores if chore[0] == "drop_used_challenge"])
    await deletions.count(site.database, "statistics", 5)  # which deletes nothing of anyone
    after = await folder_facts(site.database)
    assert after.overdue["used_challenge"] == 0
    assert [(row["task"], row["number"]) for row in after.deletions] == [("drop_used_challenge", 7)]
    await written(site, tmp_path / "legal", "--lang", "en")
    proof = (tmp_path / "legal" / "en" / "5-proof-of-deletion.md").read_text(encoding="utf-8")
    assert "| `drop_used_challenge` | 7 |" in proof
    assert "- `used_challenge`: 0" in proof


async def folder_facts(database: Database) -> folder.LegalFacts:
    async with database.connection() as conn:
        return await folder.read_facts(conn)


@pytest.mark.parametrize("lang", LANGS)
async def test_the_end_of_a_letters_names_is_in_the_proof(site: Installation, tmp_path: Path, lang: str) -> None:
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET names_until = '2030-05-01'")
    await written(site, tmp_path, "--lang", lang)
    assert "2030-05-01" in (tmp_path / lang / "5-proof-of-deletion.md").read_text(encoding="utf-8")


async def test_the_notice_says_when_the_names_of_each_letter_go(site: Installation, tmp_path: Path) -> None:
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET names_until = '2030-05-01', names_days = 30")
    await written(site, tmp_path)
    english = (tmp_path / "en" / "3-privacy-notice.md").read_text(encoding="utf-8")
    (line,) = [line for line in english.splitlines() if line.startswith(f"- `{SLUG}`")]
    assert "On 1 May 2030 the names" in line
    assert "30 days after this letter is first delivered" in line
    assert "1 мая 2030" in (tmp_path / "ru" / "3-privacy-notice.md").read_text(encoding="utf-8")


async def test_a_letter_taken_down_has_nothing_left_to_end(site: Installation, tmp_path: Path) -> None:
    assert (await commands.run(f"letter take-down {SLUG} --really {SLUG}", site.environ))[0] == 0
    await written(site, tmp_path, "--lang", "en")
    record, proof, privacy = (
        (tmp_path / "en" / f"{name}.md").read_text(encoding="utf-8")
        for name in ("1-record-of-processing", "5-proof-of-deletion", "3-privacy-notice")
    )
    assert f"- `{SLUG}`: taken down; everything about it was deleted." in record
    assert "Names have no end" not in record
    assert "deleted with the letter" in proof
    assert SLUG not in privacy


async def test_the_documents_say_what_this_installation_uses(site: Installation, tmp_path: Path) -> None:
    plain, more = tmp_path / "plain", tmp_path / "more"
    await written(site, plain, "--lang", "en")
    hcaptcha = {"CAPTCHA": "hcaptcha", "HCAPTCHA_SITE_KEY": "site-key", "HCAPTCHA_SECRET_KEY": "0x5ecre7"}
    environ = site.environ | hcaptcha | {"MAIL_IN": "sign.letters.example", "BOUNCE_DOMAIN": "letters.example"}
    environ |= {"KEEPER_URL": "http://127.0.0.1:1", "KEEPER_TOKEN": "t" * 64}
    assert (await commands.run(f"legal {more} --lang en", environ))[0] == 0

    def texts(folder: Path, name: str) -> str:
        return (folder / "en" / f"{name}.md").read_text(encoding="utf-8")

    for name, words in (
        ("1-record-of-processing", "hCaptcha"),
        ("1-record-of-processing", "at which letters are signed"),
        ("2-impact-assessment", "by a form or by e-mail"),
        ("2-impact-assessment", "a second key, which another process holds"),
        ("3-privacy-notice", "hCaptcha"),
    ):
        assert words not in texts(plain, name)
        assert words in texts(more, name)
