"""Several web processes: dead and silent ones are replaced and named in the log; a new release that does not start."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from petition.core.errors import PetitionError
from petition.web import processes
from petition.web.processes import Supervisor

WORKS, ENDS, FALLS_SILENT = "works", "ends", "falls silent"
# A process that does what the file says when it starts; its pipe is the last argument.
PROGRAM = """
import os, sys, time
mode, pipe = open(sys.argv[1]).read(), int(sys.argv[2])
if mode == "ends":
    sys.exit(3)
os.write(pipe, b".")
while True:
    time.sleep(0.02)
    if mode == "works":
        os.write(pipe, b".")
"""


@dataclass(slots=True)
class Watched(Supervisor):
    """Stops when ``steps`` are through: what to do in one, and when that has come about."""

    steps: list[Callable[[Supervisor], bool]] = field(default_factory=list)
    tries: int = 3000

    def _step(self) -> None:
        Supervisor._step(self)
        self.tries -= 1
        if self.steps and self.steps[0](self):
            self.steps.pop(0)
        self.is_stopping = not self.steps or not self.tries


@dataclass
class Step:
    """Acts once all processes are ready; is done when ``message`` was logged and all are ready again."""

    caplog: pytest.LogCaptureFixture
    message: str
    mode: str
    file: Path
    number: signal.Signals | None = None
    has_acted: bool = False

    def __call__(self, supervisor: Supervisor) -> bool:
        if not all(process.is_ready for process in supervisor.running):
            return False
        if not self.has_acted:
            self.file.write_text(self.mode)
            self.has_acted = True
            if self.number == signal.SIGHUP:
                os.kill(os.getpid(), self.number)
            elif self.number is not None:
                supervisor.running[0].process.send_signal(self.number)
            return False
        return self.message in [record.message for record in self.caplog.records]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Path:
    monkeypatch.setattr(processes, "TICK", 0.01)
    caplog.set_level(logging.INFO)
    file = tmp_path / "mode"
    file.write_text(WORKS)
    return file


def watched(file: Path, *steps: Step) -> Watched:
    command = (sys.executable, "-S", "-c", PROGRAM, str(file))
    return Watched([], [], dict(os.environ), 2, command, steps=[*steps])


def test_a_dead_process_is_replaced_and_named_with_its_cause(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    supervisor = watched(file, Step(caplog, "web process died", WORKS, file, signal.SIGKILL))
    supervisor.run()
    assert not supervisor.steps
    (record,) = [record for record in caplog.records if record.message == "web process died"]
    assert record.levelname == "WARNING"
    extras = vars(record)
    assert extras["trouble"] == "SIGKILL, killed: for lack of memory, or by hand"
    assert extras["pid"] not in {process.process.pid for process in supervisor.running}


def test_a_process_that_falls_silent_is_killed_and_replaced(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MAX_SILENCE", 1.0)
    supervisor = watched(file, Step(caplog, "web process died", WORKS, file, signal.SIGSTOP))
    supervisor.run()
    assert not supervisor.steps
    (record,) = [record for record in caplog.records if record.message == "web process died"]
    assert vars(record)["trouble"] == "it did not respond"


def test_the_first_ones_that_cannot_start_end_the_command(file: Path) -> None:
    file.write_text(ENDS)
    with pytest.raises(PetitionError, match="does not start"):
        watched(file).run()


def test_on_a_hangup_all_are_replaced(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    supervisor = watched(file, Step(caplog, "the web processes have been replaced", WORKS, file, signal.SIGHUP))
    before: list[int] = []

    def note(it: Supervisor) -> bool:
        before.extend(process.process.pid for process in it.running)
        return True

    supervisor.steps.insert(0, note)
    supervisor.run()
    assert not supervisor.steps
    assert not set(before) & {process.process.pid for process in supervisor.running}


def test_a_release_that_does_not_start_leaves_the_former_one_serving(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    message = "a new web process does not start; the former ones stay"
    supervisor = watched(file, Step(caplog, message, ENDS, file, signal.SIGHUP))
    supervisor.run()
    assert not supervisor.steps
    (record,) = [record for record in caplog.records if record.message == message]
    assert vars(record)["trouble"] == "exit code 3; look at what it has logged before"
    assert "web process died" not in caplog.messages
