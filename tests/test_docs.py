"""The docs name every setting, address, command, mail and decision there is, and link to nothing that is not there."""

import argparse
import re
from collections.abc import Iterator

import pytest
from starlette.routing import Mount, Route

from petition.cli import main
from petition.core import settings
from petition.core.limits import LIMITS
from petition.core.resources import PACKAGE
from petition.web.app import ROUTES
from petition.web.desk.routes import DESK

CHECKOUT = PACKAGE.parent
DOCS = {path.relative_to(CHECKOUT).as_posix(): path.read_text(encoding="utf-8") for path in CHECKOUT.glob("docs/*.md")}
FRONT = {
    name: (CHECKOUT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
}
DECISIONS = sorted(path.name for path in CHECKOUT.glob("docs/decisions/*.md") if path.name != "README.md")
READS = re.compile(r'reader\.(text|number|secret|switch)\(\s*"([A-Z_]+)"')


LOGGED = re.compile(r'log\.(?:warning|error|exception|critical)\(\s*"([^"]+)"|LogSummary\(log, "([^"]+)"')
METRICS = re.compile(r'"(petition_[a-z_]+)"')


def settings_read() -> dict[str, bool]:
    """Return every setting that the code reads, and whether it may stand in a file."""
    sources = (path.read_text(encoding="utf-8") for path in (PACKAGE / "core").glob("*.py"))
    named = {name: how == "secret" for source in sources for how, name in READS.findall(source)}
    return named | dict.fromkeys(LIMITS, False)


def commands(parser: argparse.ArgumentParser | None = None) -> Iterator[str]:
    """Yield every command as it is typed, without its arguments."""
    parser = parser or main._parser()
    below = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    for action in below:
        for child in action.choices.values():
            yield from commands(child)
    if not below:
        yield parser.prog


def addresses() -> set[str]:
    """Return the pattern of every address."""
    known = {each.path for each in ROUTES if isinstance(each, Route)} | {at.path for at in DESK}
    return known | {each.path for each in ROUTES if isinstance(each, Mount) and each.path != "/organizer"}


def test_all_there_is_was_found() -> None:
    assert len(settings_read()) > 20
    assert set(settings_read()) == settings.NAMES
    assert set(commands()) >= {"petition demo", "petition letter import", "petition signatures approve"}
    assert len(addresses()) > 30
    assert len(warnings()) > 15


@pytest.mark.parametrize(("name", "in_file"), settings_read().items())
def test_every_setting_is_in_the_handbook(name: str, in_file: bool) -> None:
    row = re.search(rf"^\| `{name}` \|(.*)$", DOCS["docs/operators.md"], re.MULTILINE)
    assert row, f"{name} has no row"
    assert (row[1].split("|")[0].strip() == "yes") is in_file


def test_the_handbook_has_no_setting_that_is_not_read() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|", DOCS["docs/operators.md"], re.MULTILINE)
    assert set(rows) == set(settings_read())


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_is_in_the_handbook(command: str) -> None:
    assert re.search(rf"`{command}[` ]", DOCS["docs/operators.md"])


def warnings() -> set[str]:
    """Return every message that the code logs as a warning or worse."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))]
    messages = {"".join(groups) for source in sources for groups in LOGGED.findall(source)}
    return {re.split(r"[;:]|%s", text)[0].strip() for text in messages}


@pytest.mark.parametrize("message", sorted(warnings()))
def test_every_warning_of_the_log_is_in_the_handbook(message: str) -> None:
    assert f"`{message}" in DOCS["docs/operators.md"]


@pytest.mark.parametrize("metric", METRICS.findall((PACKAGE / "core/metrics.py").read_text(encoding="utf-8")))
def test_every_metric_is_in_the_handbook(metric: str) -> None:
    assert f"| `{metric}` |" in DOCS["docs/operators.md"]


@pytest.mark.parametrize("path", sorted(addresses()))
def test_every_address_is_described(path: str) -> None:
    assert f"| `{path}` |" in DOCS["docs/addresses.md"]


def test_no_address_is_described_that_is_not_there() -> None:
    assert set(re.findall(r"^\| `(/[^`]*)` \|", DOCS["docs/addresses.md"], re.MULTILINE)) == addresses()


@pytest.mark.parametrize("mail", sorted(path.parent.name for path in CHECKOUT.glob("templates/email/*/subject.txt")))
def test_every_mail_is_in_the_handbook(mail: str) -> None:
    assert f"| `{mail}` |" in DOCS["docs/operators.md"]


@pytest.mark.parametrize("decision", DECISIONS)
def test_every_decision_is_listed(decision: str) -> None:
    assert f"]({decision})" in (CHECKOUT / "docs/decisions/README.md").read_text(encoding="utf-8")


def texts() -> dict[str, str]:
    """Return every page for people."""
    decisions = {path.relative_to(CHECKOUT).as_posix(): path for path in CHECKOUT.glob("docs/decisions/*.md")}
    return DOCS | FRONT | {name: path.read_text(encoding="utf-8") for name, path in decisions.items()}


def anchors(text: str) -> set[str]:
    """Return the anchor of every heading, as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", sorted(texts()))
def test_links_lead_somewhere(page: str) -> None:
    for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", texts()[page]):
        target = (CHECKOUT / page).parent / link if link else CHECKOUT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{link}#{anchor}"


PATHS = re.compile(r"(?<![\w/.])(?:petition|tests|templates|tools|deploy|migrations)/(?:[\w-]+/)*(?:[\w-]+\.\w+)?")


@pytest.mark.parametrize("page", sorted(texts()))
def test_paths_of_the_code_exist(page: str) -> None:
    assert [path for path in PATHS.findall(texts()[page]) if not (CHECKOUT / path).exists()] == []


@pytest.mark.parametrize("page", sorted(texts()))
def test_plain_words(page: str) -> None:
    prose = re.sub(r"`[^`]*`", "", re.sub(r"^```.*?^```", "", texts()[page], flags=re.MULTILINE | re.DOTALL))
    assert re.findall(r"\b(?:whoever|told|(?:no|some|any|every)body)\b", prose, re.IGNORECASE) == []


def test_decisions_say_context_decision_and_consequences() -> None:
    for name in DECISIONS:
        text = (CHECKOUT / "docs/decisions" / name).read_text(encoding="utf-8")
        headings = re.findall(r"^## (\w+)", text, re.MULTILINE)
        assert [each for each in headings if each in {"Context", "Consequences"}] == ["Context", "Consequences"], name
        assert re.search(r"^## (?:\w+ )?[Dd]ecision$", text, re.MULTILINE), name


def test_the_change_log_has_one_form() -> None:
    versions = re.findall(r"^## (.+)$", FRONT["CHANGELOG.md"], re.MULTILINE)
    assert versions[0] == "Unreleased"
    kinds = re.findall(r"^### (.+)$", FRONT["CHANGELOG.md"], re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("target", ["demo", "test", "install", "lint", "bench", "clean", "messages", "requirements"])
def test_every_target_is_there(target: str) -> None:
    assert re.search(rf"^{target}:.*## ", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"make {target}" in "".join(FRONT.values())


def test_what_the_security_page_names_is_there() -> None:
    """Each path is there, and each test in the file before it."""
    path = None
    names = re.findall(r"`((?:tests|petition|deploy|tools)/[^`:]*)?(?:::(test_\w+))?`", DOCS["docs/security.md"])
    assert len(names) > 80
    for file, test in names:
        path = CHECKOUT / file if file else path
        assert path is not None
        assert path.exists(), file
        assert not test or f"def {test}(" in path.read_text(encoding="utf-8"), (file, test)
