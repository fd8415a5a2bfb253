"""``petition demo`` as a process: what it starts, says, and leaves behind. The web and the worker are stand-ins."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from petition.core.errors import PetitionError
from petition.demo import sample, supervisor

HERE = Path(__file__).parent
DRIVER = """
import sys
from dataclasses import replace
from petition.demo.supervisor import hold, prepared
from petition.core.errors import PetitionError
import asyncio, os
from pathlib import Path
from typing import Any

async def nothing(url, settings):
    return f"{settings.base_url}/organizer/enter/a-token"

demo = prepared(int(sys.argv[1]), Path(sys.argv[2]), os.environ)
try:
    hold(replace(demo, command=(sys.executable, sys.argv[3]), prepare=nothing))
except PetitionError as error:
    sys.exit(str(error))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Running:
    """One demo in a process of its own, in a session of its own like a terminal's."""

    def __init__(self, data_dir: Path, port: int, **environ: str) -> None:
        self.data_dir, self.port = data_dir, port
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(port), str(data_dir), str(HERE / "stand_in.py")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=HERE.parents[1],
            env=os.environ | {"DATABASE_URL": "postgresql://nobody@/none", "PYTHONPATH": "."} | environ,
            start_new_session=True,
        )

    def said(self) -> str:
        """Return what it says until everything runs."""
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        return "".join(lines)

    def child(self, role: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / f"{role}.json").read_text())
        return found

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(number)
        output, errors = self.process.communicate()
        return self.process.returncode, output, errors


@pytest.fixture
def data_dir(open_folder: Path) -> Iterator[Path]:
    """Give a data folder; see in the end that no child is left."""
    yield open_folder
    children = [json.loads(file.read_text())["pid"] for file in open_folder.glob("*.json")]
    until(lambda: not any(alive(pid) for pid in children))


def alive(pid: int) -> bool:
    """Tell whether a process runs (one that ended and was not yet asked after does not)."""
    try:
        return not re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return False


def until(what: Callable[[], bool], patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        text: str = answer.read().decode()
        return text


def test_it_says_where_everything_is_and_ctrl_c_ends_it(data_dir: Path) -> None:
    port = free_port()
    demo = Running(data_dir, port, SMTP_URLS="smtp://relay.example")
    said = demo.said()
    for lang in ("en", "ru"):
        assert f"http://localhost:{port}/{lang}/{sample.slug()}\n" in said
    assert f"The desk     http://localhost:{port}/organizer/enter/a-token\n" in said
    mailbox = re.findall(r"The mailbox\s+(\S+)", said)[0]
    until(lambda: "from the worker" in get(mailbox))
    web, worker = demo.child("serve"), demo.child("worker")
    assert web["arguments"] == ["serve", "--port", str(port)]
    assert web["BASE_URL"] == f"http://localhost:{port}"
    assert worker["PORT"] == str(port)
    assert worker["DATABASE_URL"] == "postgresql://nobody@/none"
    assert worker["SMTP_URLS"].startswith("smtp://127.0.0.1:")  # none leaves this machine
    assert demo.end(signal.SIGINT) == (0, "", "")
    assert not alive(int(web["pid"]))
    assert not alive(int(worker["pid"]))


@pytest.mark.parametrize("how", ["", "stubborn"])
def test_sigterm_ends_it_and_a_child_that_will_not_end(data_dir: Path, how: str) -> None:
    demo = Running(data_dir, free_port(), STAND_IN=how)
    demo.said()
    until(lambda: (data_dir / "worker.json").exists())
    assert demo.end(signal.SIGTERM) == (0, "", "")
    assert not alive(int(demo.child("worker")["pid"]))


def test_killed_it_takes_its_children_with_it(data_dir: Path) -> None:
    demo = Running(data_dir, free_port())
    demo.said()
    until(lambda: (data_dir / "worker.json").exists())
    demo.end(signal.SIGKILL)  # the fixture waits for the children's end


def test_a_child_that_dies_ends_the_demo_with_one_line(data_dir: Path) -> None:
    demo = Running(data_dir, free_port(), STAND_IN="dies")
    _, errors = demo.process.communicate()
    assert demo.process.returncode == 1
    assert errors == (
        "`petition worker` ended unexpectedly (exit code 1): the worker is out of paper "
        f"(more in {data_dir / 'worker.log'})\n"
    )


def test_a_port_in_use_is_one_line(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = Running(data_dir, port)
        _, errors = demo.process.communicate()
    assert demo.process.returncode == 1
    assert errors == f"port {port} cannot be used (already in use?); choose another with --port\n"


def test_the_database_is_the_embedded_one_and_goes_with_the_demo(data_dir: Path) -> None:
    demo = Running(data_dir, free_port(), DATABASE_URL="")
    demo.said()
    assert demo.child("serve")["DATABASE_URL"].startswith("postgresql://petition@/petition?host=")
    server = int((data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])
    assert alive(server)
    assert demo.end(signal.SIGINT) == (0, "", "")
    assert not alive(server)


def test_ctrl_c_while_the_database_is_being_made_leaves_nothing(data_dir: Path) -> None:
    demo = Running(data_dir, free_port(), DATABASE_URL="")
    home = data_dir / "postgres"
    until(lambda: any(home.glob("cluster-new-*/base")))
    assert demo.end(signal.SIGINT) == (0, "", "")
    assert not (home / "cluster" / "postmaster.pid").exists()


def test_wrong_settings_are_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(PetitionError, match="PORT must be a whole number"):
        supervisor.prepared(None, tmp_path, {"PORT": "many"})


def test_data_and_port_come_from_the_command_line_before_the_environment(tmp_path: Path) -> None:
    demo = supervisor.prepared(
        9000, tmp_path / "here", {"PORT": "8000", "DATA_DIR": "/there", "MAIL_FROM": "a@b.example"}
    )
    assert demo.environ["DATA_DIR"] == str(tmp_path / "here")
    assert demo.environ["PORT"] == "9000"
    assert demo.environ["MAIL_FROM"] == "a@b.example"


def test_port_nought_means_any_free_one(tmp_path: Path) -> None:
    demo = supervisor.prepared(0, tmp_path, {})
    assert demo.settings.port > 0
    assert demo.environ["BASE_URL"] == f"http://localhost:{demo.settings.port}"
