"""Several web processes: dead and silent ones are replaced and named in the log; a new release that does not start."""

import errno
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from petition.core.errors import PetitionError
from petition.web import processes
from petition.web.processes import Supervisor, WebProcess

WORKS, ENDS, FALLS_SILENT, HESITATES = "works", "ends", "falls silent", "hesitates"
# A process that does what the file says when it starts; its pipe is the last argument.
PROGRAM = """
import os, sys, time
mode, pipe = open(sys.argv[1]).read(), int(sys.argv[2])
if mode == "ends":
    sys.exit(3)
while mode == "hesitates":
    time.sleep(0.02)
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


def watched(file: Path, *steps: Callable[[Supervisor], bool]) -> Watched:
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


def is_well(supervisor: Supervisor) -> bool:
    """Return whether there are as many processes as there should be, all of them ready, and no other."""
    others = [*supervisor.ending, *supervisor.outdated, *([supervisor.successor] if supervisor.successor else [])]
    running = [process for process in supervisor.running if process.is_ready and process.process.poll() is None]
    return len(running) == supervisor.count and not others


def has_begun(process: WebProcess | None) -> bool:
    """Return whether it was started long enough ago to have read what it is to do."""
    return process is not None and time.monotonic() - process.heard_at > 1


def pids_of(supervisor: Supervisor) -> set[int]:
    return {process.process.pid for process in supervisor.running}


def test_one_that_ends_at_once_again_and_again_takes_no_other_with_it(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an upgrade is half installed, for one."""
    monkeypatch.setattr(processes, "PAUSE", 0.3)
    supervisor = watched(file)
    other: list[int] = []

    def kill(it: Supervisor) -> bool:
        if not is_well(it):
            return False
        file.write_text(ENDS)
        it.running[0].process.kill()
        other.append(it.running[1].process.pid)
        return True

    def mend(_: Supervisor) -> bool:
        if caplog.messages.count("web process died") < 3:
            return False
        file.write_text(WORKS)
        return True

    supervisor.steps = [kill, mend, is_well]
    supervisor.run()
    assert not supervisor.steps
    assert other[0] in pids_of(supervisor)


def test_where_none_can_be_started_the_others_go_on(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PAUSE", 0.05)
    supervisor = watched(file)
    start, message = subprocess.Popen, "a web process cannot be started"
    files: list[int] = []

    def refuse(*_: object, **__: object) -> None:
        files.append(sum(1 for _ in Path("/proc/self/fd").iterdir()))
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def kill(it: Supervisor) -> bool:
        if not is_well(it):
            return False
        monkeypatch.setattr(subprocess, "Popen", refuse)
        it.running[0].process.kill()
        return True

    def allow(_: Supervisor) -> bool:
        if caplog.messages.count(message) < 3:
            return False
        monkeypatch.setattr(subprocess, "Popen", start)
        return True

    def reload(it: Supervisor) -> bool:
        if not is_well(it):
            return False
        monkeypatch.setattr(subprocess, "Popen", refuse)
        os.kill(os.getpid(), signal.SIGHUP)
        return True

    def is_given_up(it: Supervisor) -> bool:
        return "a new web process does not start; the former ones stay" in caplog.messages and is_well(it)

    supervisor.steps = [kill, allow, reload, is_given_up]
    supervisor.run()
    assert not supervisor.steps
    assert len(set(files[:3])) == 1, "a pipe stays open"
    troubles = {vars(record).get("trouble") for record in caplog.records if record.message == message}
    assert troubles == {os.strerror(errno.EAGAIN)}


def begin_reload(it: Supervisor, file: Path) -> bool:
    """Have it replace its processes by one that takes its time, once all are well."""
    if not is_well(it):
        return False
    file.write_text(HESITATES)
    os.kill(os.getpid(), signal.SIGHUP)
    return True


def test_former_ones_that_die_during_a_reload_end_it(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Else one process more than there should be goes on, and systemd waits for the end of the reload."""
    supervisor = watched(file)

    def kill(it: Supervisor) -> bool:
        if not has_begun(it.successor):
            return False
        file.write_text(WORKS)
        for process in it.outdated:
            process.process.kill()
        return True

    supervisor.steps = [lambda it: begin_reload(it, file), kill, is_well]
    supervisor.run()
    assert not supervisor.steps
    assert caplog.messages.count("the web processes have been replaced") == 1


def test_a_second_hangup_leaves_none_of_the_first(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The one that the first has just started may run the code of before."""
    supervisor = watched(file)
    first: list[int] = []

    def hang_up_again(it: Supervisor) -> bool:
        if not has_begun(it.successor):
            return False
        first.extend({it.successor.process.pid if it.successor else 0} | pids_of(it))
        file.write_text(WORKS)
        os.kill(os.getpid(), signal.SIGHUP)
        return True

    supervisor.steps = [lambda it: begin_reload(it, file), hang_up_again, is_well]
    supervisor.run()
    assert not supervisor.steps
    assert not set(first) & pids_of(supervisor)
    assert caplog.messages.count("the web processes have been replaced") == 1
