"""The report on the count in copies: the same numbers, signed, and no name of an organization."""

import json
from pathlib import Path

from petition.moderation.model import Action
from tests.commands import run
from tests.count_log.conftest import LogBench
from tests.count_log.test_public_pages import take
from tests.count_report.conftest import logged
from tests.running import SLUG, Installation

__all__ = ["logged"]


async def test_a_copy_has_the_report_without_names(site: Installation, logged: LogBench, tmp_path: Path) -> None:
    await logged.sign("Vera Novak")
    await logged.decide(Action.APPROVE, await logged.sign_for("North Pier"))
    await take(site, logged)
    folder = tmp_path / "copy"
    assert (await run(f"mirror {SLUG} {folder}", site.environ))[0] == 0
    report = json.loads((folder / "how-we-count.json").read_text(encoding="utf-8"))
    count = json.loads((folder / "count.json").read_text(encoding="utf-8"))
    assert {name: report["counts"][name] for name in ("total", "people", "organizations")} == {
        name: count[name] for name in ("total", "people", "organizations")
    }
    assert report["counted_at"] == count["counted_at"]
    assert (folder / "log" / "checkpoint").read_text(encoding="utf-8") == report["log"]["checkpoint"]
    for lang, title in (("en", "How we count"), ("ru", "Как мы считаем")):
        page = (folder / lang / "how-we-count.html").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
        assert f"<h1>{title}</h1>" in page
        assert report["quote"][lang].replace("\N{NO-BREAK SPACE}", " ") in page
        assert "North Pier" not in page
        assert f'href="{site.base}/{lang}/{SLUG}/verify"' in page
        assert "how-we-count.html" in (folder / lang / "index.html").read_text(encoding="utf-8")
    assert (await run(f"mirror --verify {folder}", site.environ))[0] == 0


async def test_the_one_file_has_it_in_both_languages(site: Installation, logged: LogBench) -> None:
    await logged.sign("Vera Novak")
    text = (await site.client.get(f"/en/{SLUG}/copy.html")).text.replace("\N{NO-BREAK SPACE}", " ")
    assert 'id="how-we-count-en"' in text
    assert 'id="how-we-count-ru"' in text
    assert "How we count" in text
    assert "Как мы считаем" in text
