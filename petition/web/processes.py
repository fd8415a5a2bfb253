"""Several web processes at one port: started, watched, replaced one by one, ended together.

Each of them is a program of its own, petition.web.process. It shares nothing with this one but the listening sockets
and a pipe, so that on SIGHUP, after an upgrade, new processes run the new code, while this one only holds the sockets.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from petition.core import metric_cells, service_manager
from petition.core.child_processes import die_with_parent
from petition.core.errors import PetitionError
from petition.core.settings import Settings
from petition.web.listening import MAX_WAIT, NOTICE, QUIET, has_waiting, listening, note_start, refuse_new

log = logging.getLogger(__name__)

MAX_SILENCE = 10.0  # seconds without a pulse, in which an event loop must have turned
START_LIMIT = 120.0  # seconds in which a process has to be ready
STOP_LIMIT = 18.0  # seconds in which it has to end: petition.web.server needs four for proxies and ten for responses
PAUSE = 1.0  # seconds until another try when a process has not become ready
TICK = 0.1
PROBED = b"?"  # the pulse of a process whose health a proxy asks for

COMMAND = (sys.executable, "-m", "petition.web.process")
BY_SIGNAL = {
    signal.SIGKILL: "killed: for lack of memory, or by hand",
    signal.SIGTERM: "ended by hand",
}
SILENT = "it did not respond"


@dataclass(slots=True)
class WebProcess:
    """One process; ``heard_at`` is when it last wrote to its pipe, or when it was started."""

    process: subprocess.Popen[bytes]
    pipe: int
    heard_at: float
    is_ready: bool = False
    is_probed: bool = False
    trouble: str | None = None

    @classmethod
    def start(cls, sockets: Sequence[socket.socket], environ: dict[str, str], command: Sequence[str]) -> "WebProcess":
        """Start one. The kernel ends it if this process is killed (Linux); so call this from the main thread.

        Raises ``OSError`` for lack of memory, processes or open files.
        """
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        numbers = (writer, *(listener.fileno() for listener in sockets))
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [*command, *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                env=environ,
                pass_fds=numbers,
                start_new_session=True,  # Ctrl-C and the end of a terminal's session come to this process alone
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return cls(process, reader, time.monotonic())

    def listen(self) -> None:
        """Note whether it has written to its pipe."""
        if self.pipe < 0:  # it has ended, and waits to be replaced
            return
        with contextlib.suppress(BlockingIOError):
            if pulses := os.read(self.pipe, 4096):
                self.heard_at, self.is_ready = time.monotonic(), True
                self.is_probed = PROBED in pulses

    def is_overdue(self) -> bool:
        """Return whether it has been silent for too long."""
        limit = MAX_SILENCE if self.is_ready else START_LIMIT
        return time.monotonic() - self.heard_at > limit

    def stop(self) -> None:
        """Ask it to end, and give it time from now on."""
        self.heard_at = time.monotonic()
        self.process.terminate()

    def has_ended(self) -> bool:
        """Return whether it has ended, and let go of its pipe then."""
        if self.process.poll() is None:
            return False
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1
        return True

    def kill(self, trouble: str) -> None:
        self.trouble = trouble
        self.process.kill()

    def cause(self) -> str:
        """Say why it ended, for the log."""
        code = self.process.returncode
        if self.trouble or code >= 0:
            return self.trouble or f"exit code {code}; look at what it has logged before"
        number = signal.Signals(-code)
        return f"{number.name}, {BY_SIGNAL.get(number, 'a crash')}"


@dataclass(slots=True)
class Supervisor:
    """Keeps ``count`` processes running; ``own`` are the sockets that end with this process."""

    sockets: Sequence[socket.socket]
    own: Sequence[socket.socket]
    environ: dict[str, str]
    count: int
    command: Sequence[str] = COMMAND
    running: list[WebProcess] = field(default_factory=list)
    outdated: list[WebProcess] = field(default_factory=list)
    ending: list[WebProcess] = field(default_factory=list)
    successor: WebProcess | None = None
    is_serving: bool = False
    is_stopping: bool = False
    must_reload: bool = False
    start_at: float = 0.0

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises ``PetitionError`` if the processes cannot start."""
        try:
            with self._signals():
                self.running = [self._start() for _ in range(self.count)]
                while not self.is_stopping:
                    time.sleep(TICK)
                    self._step()
        finally:
            self._stop()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(*_: object) -> None:
            self.is_stopping = True

        def reload(*_: object) -> None:
            self.must_reload = True

        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            if not self.is_stopping:
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _start(self) -> WebProcess:
        return WebProcess.start(self.sockets, self.environ, self.command)

    def _step(self) -> None:
        for process in [*self.running, *([self.successor] if self.successor else [])]:
            process.listen()
            if process.is_overdue():
                process.kill(SILENT)
        self._note_readiness()
        self._replace_dead()
        self._watch_ending()
        if self.must_reload:
            self._begin_reload()
        if self.outdated:
            self._go_on_with_reload()

    def _note_readiness(self) -> None:
        if not self.is_serving and all(process.is_ready for process in self.running):
            self.is_serving = True
            service_manager.notify("READY=1")

    def _replace_dead(self) -> None:
        for index, process in enumerate(self.running):
            if not process.has_ended() or time.monotonic() < self.start_at:
                continue
            died = {"pid": process.process.pid, "trouble": process.cause()}
            if not self.is_serving:
                log.warning("web process died", extra=died)
                raise PetitionError("a web process does not start; see the log above")
            try:
                self.running[index] = self._start()
            except OSError as error:  # the others must not end because of that
                log.warning("a web process cannot be started", extra={"trouble": error.strerror})
                self.start_at = time.monotonic() + PAUSE
                continue
            log.warning("web process died", extra=died)
            if not process.is_ready:
                self.start_at = time.monotonic() + PAUSE
            if process in self.outdated:
                self.outdated.remove(process)
                if not self.outdated:
                    self._end_reload()

    def _begin_reload(self) -> None:
        self.must_reload = False
        self._retire_successor()  # it may have begun with the code of before
        log.info("replacing the web processes", extra={"pid": os.getpid()})
        service_manager.notify("RELOADING=1")
        self.outdated = list(self.running)

    def _go_on_with_reload(self) -> None:
        """Bring a new process up beside the old ones before one of these ends."""
        if self.successor is None:
            if not self.ending:
                try:
                    self.successor = self._start()
                except OSError as error:
                    self._give_up_reload({"trouble": error.strerror})
        elif self.successor.has_ended():
            self._give_up_reload({"pid": self.successor.process.pid, "trouble": self.successor.cause()})
        elif self.successor.is_ready:
            self._hand_over(self.successor)

    def _give_up_reload(self, more: dict[str, object]) -> None:
        log.error("a new web process does not start; the former ones stay", extra=more)
        self.successor, self.outdated = None, []
        service_manager.notify("READY=1")

    def _hand_over(self, successor: WebProcess) -> None:
        former = self.outdated.pop(0)
        self.running[self.running.index(former)] = successor
        self.successor = None
        self._retire(former)
        if not self.outdated:
            self._end_reload()

    def _end_reload(self) -> None:
        """Note that all processes are new ones, be it because the former ones have died."""
        self._retire_successor()
        log.info("the web processes have been replaced", extra={"pid": os.getpid()})
        service_manager.notify("READY=1")

    def _retire_successor(self) -> None:
        if self.successor is not None:
            self._retire(self.successor)
            self.successor = None

    def _retire(self, process: WebProcess) -> None:
        process.stop()
        self.ending.append(process)

    def _watch_ending(self) -> None:
        for process in self.ending:
            if time.monotonic() - process.heard_at > STOP_LIMIT:
                process.kill(SILENT)
        self.ending = [process for process in self.ending if not process.has_ended()]

    def _stop(self) -> None:
        service_manager.notify("STOPPING=1")
        self._let_queues_run_empty()
        former = [*self.running, *([self.successor] if self.successor else [])]
        for process in former:
            process.stop()
        self.ending += former
        while self.ending:
            self._watch_ending()
            time.sleep(TICK / 2)

    def _let_queues_run_empty(self) -> None:
        """Wait while the processes accept what came before."""
        if not self.own or not self.is_serving:
            return
        if any(process.is_probed for process in self.running):
            for process in self.running:
                process.process.send_signal(signal.SIGUSR1)  # its answers about its health say so
            time.sleep(NOTICE)
        refuse_new(self.own)
        end = time.monotonic() + MAX_WAIT
        time.sleep(QUIET)
        while has_waiting(self.own) and time.monotonic() < end:
            time.sleep(0.001)


def run(settings: Settings, count: int) -> None:
    """Serve in ``count`` processes until SIGTERM or SIGINT. Raises ``PetitionError`` if it cannot listen."""
    inherited = service_manager.take_sockets()
    with listening(settings, inherited) as sockets, metric_cells.shared_folder():
        note_start(settings, count)
        own = [listener for listener in sockets if listener not in inherited]
        # Each process reads the settings again, and the port may be from the command line.
        environ = service_manager.environment_of_child() | {"PORT": str(settings.port)}
        Supervisor(sockets, own, environ, count).run()
    log.info("the web processes have ended", extra={"pid": os.getpid()})
