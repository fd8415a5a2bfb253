"""The version rises from commit to commit, and every process says which one runs."""

import subprocess
from pathlib import Path

import pytest

from petition.core import version as module
from petition.core.database import schema_number
from petition.core.version import version, version_at
from tests.commands import called
from tests.running import installation


def parts(text: str) -> list[int]:
    return [int(part) for part in text.split(".")]


def test_later_commits_have_higher_versions() -> None:
    times = [0, 1, 59, 60, 3599, 3600, 86_399, 86_400, 1_785_000_000, 1_796_000_000, 1_796_000_001]
    versions = [parts(version_at(seconds)) for seconds in times]
    assert versions == sorted(versions)
    assert len({tuple(each) for each in versions}) == len(times)
    assert all(each > [0, 1, 0] for each in versions)  # what every build was called before
    assert version_at(1_796_000_000) == "2026.11.30.5320"


def test_the_command_prints_the_version_and_the_schema() -> None:
    done = called("--version")
    assert (done.returncode, done.stdout) == (0, f"petition {version()}, schema {schema_number()}\n")


def checkout(folder: Path, at: str) -> None:
    """Make a repository with one commit, of the time ``at``."""
    author = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(
            ["git", "-C", str(folder), *command],
            check=True,
            env=author | {"GIT_COMMITTER_DATE": at, "PATH": "/usr/bin"},
        )


def test_a_checkout_s_version_is_its_commit_s_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout(tmp_path, "2027-03-04T05:06:07Z")
    monkeypatch.setattr(module, "CHECKOUT", tmp_path)
    assert version.__wrapped__() == "2027.3.4.50607"


def test_a_copy_without_history_has_the_time_of_its_newest_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "petition").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "petition" / "a.py").write_text("")
    monkeypatch.setattr(module, "CHECKOUT", tmp_path)
    assert parts(version.__wrapped__()) > [2026, 1, 1]


def test_an_unpacked_archive_knows_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ARCHIVED", "1796000000")
    assert version.__wrapped__() == "2026.11.30.5320"
    attributes = (Path(__file__).parents[2] / ".gitattributes").read_text()
    assert "petition/core/version.py export-subst" in attributes


async def test_metrics_name_it(database_url: str, tmp_path: Path, with_letter: None) -> None:
    async with installation(database_url, tmp_path, METRICS_TOKEN="t") as site:
        answer = await site.client.get("/metrics", headers={"authorization": "Bearer t"})
    assert f'petition_build_info{{schema="{schema_number()}",version="{version()}"}} 1.0' in answer.text


async def test_readiness_names_it(database_url: str, tmp_path: Path, with_letter: None) -> None:
    async with installation(database_url, tmp_path) as site:
        answer = await site.client.get("/readyz")
    assert answer.text == f"ready\nversion {version()}, schema {schema_number()}\n"
