"""All that people do at once, for some seconds: each is there once, no answer is an error, and memory is watched."""

from pathlib import Path

import pytest

from tests.bench import million, mixed
from tests.bench.place import Place

SECONDS = 8.0
PROCESSES = ("web", "worker", "postgresql")


async def test_all_at_once(
    database_url: str, open_folder: Path, with_letter: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(million, "PROGRESS", open_folder / "progress.json")
    monkeypatch.setattr(mixed, "LISTENERS", 20)
    monkeypatch.setattr(mixed, "LOOK_EVERY", 0.5)
    monkeypatch.setattr(mixed, "READING", 40.0)  # on a machine that runs other tests
    figures = await mixed.run(Place(database_url, open_folder), database_url, SECONDS)
    assert [figures[f"mixed {what}"] for what in ("lost", "doubled", "errors")] == [0, 0, 0]
    assert all(0.3 < figures[f"mixed {name} growth"] < 3 for name in PROCESSES)


def test_growth_is_the_last_quarter_over_the_first() -> None:
    looks = [{"web": mib} for mib in (100.0, 100.0, 300.0, 1.0, 1.0, 1.0, 110.0, 110.0)]
    assert mixed.grown(looks) == {"mixed web MiB first": 100, "mixed web MiB last": 110, "mixed web growth": 1.1}
