"""One of several web processes, started by petition.web.processes: ``python -m petition.web.process PIPE SOCKET …``."""

import contextlib
import os
import signal
import socket
import sys

from petition.core import logs
from petition.core.settings import Process, load
from petition.web import server
from petition.web.app import create_app
from petition.web.processes import PROBED
from petition.web.shutdown import notice


def main(pipe: int, sockets: list[socket.socket]) -> None:
    """Serve until SIGTERM, and write a byte to ``pipe`` once a second while the event loop turns."""
    os.umask(0o077)
    logs.configure()
    settings = load(role=Process.WEB)
    server.prepare(settings)

    async def pulse() -> None:
        try:
            os.write(pipe, PROBED if notice.is_probed else b".")
        except BlockingIOError:
            return  # the other process is stopped
        except BrokenPipeError:  # it is gone, and the kernel did not say so
            signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGUSR1, lambda *_: notice.give())
    os.set_blocking(pipe, False)
    config = server.configuration(create_app(settings), settings.host, settings.port, pulse)
    server.Server(config).run(sockets=sockets)


if __name__ == "__main__":
    pipe, *listeners = (int(number) for number in sys.argv[1:])
    with contextlib.suppress(KeyboardInterrupt):
        main(pipe, [socket.socket(fileno=number) for number in listeners])
