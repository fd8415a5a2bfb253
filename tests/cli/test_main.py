"""``petition`` as people and scripts run it: exit codes, one clear line instead of a traceback, closed pipes."""

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from petition.cli.main import main
from petition.core.settings import Process, load
from tests.commands import ENVIRON, Done, called
from tests.running import SAMPLE, SLUG

COMMANDS = [
    "demo", "serve", "worker", "migrate", "keys", "keys dkim", "bounce", "check", "letter import", "letter export",
    "signatures import", "signatures export", "signatures held", "signatures approve", "switch",
    "prune", "letter list", "backup", "restore",
    "organizer add", "organizer list", "organizer reset", "organizer remove", "organizer promote",
]  # fmt: skip


def petition(*arguments: str, **environ: str) -> Done:
    """Run the command as a process to its end, without standard input."""
    return subprocess.run(
        [sys.executable, "-m", "petition", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=ENVIRON | environ,
        check=False,
    )


def said(done: Done) -> str:
    """Return the one line a command that failed has said, and see that it is one."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    found = re.fullmatch(r"petition: (.+)\n", done.stderr)
    assert found, done.stderr
    return found[1]


@pytest.fixture
def at(database_url: str, tmp_path: Path) -> dict[str, str]:
    """Give the settings of a tool for this test's own database."""
    return {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path / "data")}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command.split(), "--help"])
    output, errors = capsys.readouterr()
    assert (end.value.code, errors) == (0, "")
    assert output.startswith(f"usage: petition {command}".rstrip())


def test_what_only_others_need_is_not_in_the_memory_of_a_web_process() -> None:
    code = (
        "import sys, petition.cli.main, petition.cli.running, petition.web.server; "
        "others = {'aiohttp', 'aiosmtplib', 'cryptography', 'dns', 'typst', 'petition.cli.commands'}; "
        "assert not others & set(sys.modules), others & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


WRONG = """

nothing
letter
letter import
letter export slug
signatures
signatures approve
signatures approve x
switch a
switch a stop
switch a stopp on
switch a stop maybe
switch a stop on --text words
signatures export slug --format pdf
serve --port many
serve --port 65536
serve --workers 0
serve --workers many
backup folder --keep 0
backup folder --keep all
migrate --partitions some
demo --port -1
migrate --force
worker now
"""


@pytest.mark.parametrize("arguments", WRONG.splitlines()[1:])
def test_wrong_usage_is_2_and_says_what_is_right(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments.split())
    output, errors = capsys.readouterr()
    assert (end.value.code, output) == (2, "")
    assert errors.startswith("usage: petition")
    assert "invalid _" not in errors, "a name of our code"


def test_who_leaves_a_question_unanswered_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def end_of_input(_question: str = "") -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end_of_input)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert main(["burn", SLUG]) == 130


def test_keys_are_ready_for_an_environment_file(tmp_path: Path) -> None:
    done = petition("keys")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    made = dict(line.split("=") for line in lines)
    more = {"BASE_URL": "https://letters.example", "CONTROLLER": "us", "SMTP_URLS": "smtps://mail.example"}
    settings = load(made | more | {"MAIL_FROM": "a@letters.example", "DATA_DIR": str(tmp_path)}, role=Process.WORKER)
    assert settings.contact_private_key == made["CONTACT_PRIVATE_KEY"]
    assert called("keys").stdout != done.stdout


def test_migrating_twice(at: dict[str, str], cluster: str) -> None:
    done = called("migrate", **at)
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing to do\n", "")


PUBLIC = {"BASE_URL": "https://letters.example", "DATABASE_URL": "postgresql://petition@db.example/petition"}


@pytest.mark.parametrize(
    ("command", "environ", "line"),
    [
        ("serve", PUBLIC, "CONTACT_PUBLIC_KEY is not set"),
        ("serve", {"PORT": "many"}, "PORT must be a whole number"),
        ("serve", {"LOCALES_DIR": "/nowhere"}, "no catalogues below /nowhere"),
        ("worker", {}, "SMTP_URLS is not set"),
        ("worker", {"SMTP_URLS": "smtp://localhost"}, "MAIL_FROM is not set"),
        ("migrate", {"SECRET_KEY": "short"}, "SECRET_KEY must have at least 32 characters"),
        ("demo", {"CAPTCHA": "turnstile"}, "CAPTCHA must be pow, hcaptcha or off"),
        ("migrate", {"DATABASE_URL": "nonsense"}, "DATABASE_URL must look like"),
        (
            "migrate",
            {"DATABASE_URL": "postgresql://petition@/petition?host=/nowhere"},
            "the database cannot be reached",
        ),
    ],
)
def test_what_is_wrong_is_one_line(
    command: str, environ: dict[str, str], line: str, tmp_path: Path, database_url: str
) -> None:
    settings = {"DATA_DIR": str(tmp_path), "DATABASE_URL": database_url} | environ
    run: Callable[..., Done] = petition if "LOCALES_DIR" in environ else called  # the log has been set up by then
    assert said(run(command, **settings)).startswith(line)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_one_line(at: dict[str, str], workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = said(petition("serve", "--port", port, "--workers", workers, **at))
    assert line == f"cannot listen at 127.0.0.1, port {port}: Address already in use"


def test_no_such_database_and_no_such_role(database_url: str, tmp_path: Path) -> None:
    for wrong in (re.sub("/test_[0-9a-f]+", "/none", database_url), database_url.replace("petition@", "nobody@")):
        line = said(called("migrate", DATABASE_URL=wrong, DATA_DIR=str(tmp_path)))
        assert line.startswith("the database cannot be reached")


def test_every_problem_of_a_folder_is_a_line(at: dict[str, str]) -> None:
    done = called("letter", "import", "/nowhere", **at)
    assert done.returncode == 1
    assert all(line.startswith("petition: ") for line in done.stderr.splitlines())
    assert done.stderr.endswith("petition: /nowhere cannot be imported\n")


@pytest.mark.parametrize("command", ["letter export", "signatures export", "signatures held", "signatures import"])
def test_an_unknown_letter_is_one_line(command: str, at: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("kind,name\n")
    more = [str(file)] if command.endswith("import") else [str(tmp_path / "x")] if command.startswith("letter") else []
    assert "no-such-letter" in said(called(*command.split(), "no-such-letter", *more, **at))


def test_a_letter_goes_in_and_out(at: dict[str, str], tmp_path: Path) -> None:
    assert (
        called("letter", "import", str(SAMPLE), **at).stdout
        == f"imported {SLUG}; use --publish to show it to readers\n"
    )
    assert called("letter", "import", str(SAMPLE), "--publish", **at).stdout == f"published {SLUG}, version 1\n"
    assert called("letter", "import", str(SAMPLE), "--publish", **at).stdout == f"{SLUG}: the text is unchanged\n"
    done = called("letter", "export", SLUG, str(tmp_path / "out"), **at)
    assert (done.returncode, done.stderr) == (0, "")
    assert {each.name for each in (tmp_path / "out").iterdir()} == {each.name for each in SAMPLE.iterdir()}
    (tmp_path / "file").write_text("")
    assert "file" in said(petition("letter", "export", SLUG, str(tmp_path / "file"), **at))
    held = called("signatures", "held", SLUG, **at)
    assert (held.returncode, held.stdout, held.stderr) == (0, "", "no organizations are waiting\n")
    assert said(called("signatures", "approve", "5", **at)) == "nothing approved: there is no signature 5"
    text = tmp_path / "out" / "en.md"
    text.write_text(f"{text.read_text()}\n![A map](https://pictures.example/map.png)\n")
    done = called("letter", "import", str(tmp_path / "out"), **at)
    assert done.stdout.splitlines()[0].endswith("their description stays: https://pictures.example/map.png")


@pytest.fixture
def many(at: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Give the settings of a database with more signatories than fit into a pipe."""
    called("letter", "import", str(SAMPLE), "--publish", **at)
    file = tmp_path / "many.csv"
    rows = (f"person,Vera Novak the {n}th of her name in the valley,public\n" for n in range(3000))
    file.write_text("kind,name,visibility\n" + "".join(rows))
    done = called("signatures", "import", SLUG, str(file), **at)
    assert done.returncode == 0, done.stderr
    return at


def first_line_of(arguments: list[str], environ: dict[str, str]) -> Iterator[object]:
    """Read one line of the output and leave; yield the exit code and what was said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "petition", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRON | environ,
        text=True,
    )
    assert process.stdout
    assert process.stderr
    yield process.stdout.readline()
    process.stdout.close()
    yield process.stderr.read()
    process.stderr.close()
    yield process.wait()


def test_a_reader_who_leaves_is_no_reason_to_complain(many: dict[str, str]) -> None:
    line, errors, code = first_line_of(["signatures", "export", SLUG], many)
    assert str(line).startswith("kind,name,")
    assert (errors, code) == ("", 1)


def test_a_full_disk_is_one_line(many: dict[str, str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "petition", "signatures", "export", SLUG],
            stdout=full,
            stderr=subprocess.PIPE,
            env=ENVIRON | many,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "petition: No space left on device\n")


def test_check_says_what_is_wrong(at: dict[str, str]) -> None:
    done = called("check", **at)
    assert (done.returncode, done.stderr) == (1, "")
    assert "worker: SMTP_URLS is not set: the worker has no relay to send mail through\n" in done.stdout
    wrong = called("check", **(at | {"PORT": "many"}))
    assert wrong.stdout == "".join(f"{each}: PORT must be a whole number, not 'many'\n" for each in ("web", "worker"))
