"""Handing over mails on an SMTP connection that is open: MAIL, RCPT, DATA, and nothing else (RFC 5321, 4.1.1).

Where the server allows it (PIPELINING, RFC 2920), these three are said together.

aiosmtplib connects, encrypts and authenticates; then this takes its transport over. For each command the library takes
a lock, a timer of its own and some patterns, and over the content two more: a fifth of the worker's time for a mail.
"""

import asyncio
import re

from aiosmtplib import (
    SMTPDataError,
    SMTPReadTimeoutError,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPStatus,
)

MAX_RESPONSE = 32_768  # octets; a server that sends more in answer to one command is none
_LINE_END = re.compile(rb"\r\n|\r|\n")


class MailSession(asyncio.Protocol):
    """One connection. What a server says unasked is no answer to anything.

    Raises what aiosmtplib would: ``SMTPServerDisconnected``, ``SMTPReadTimeoutError``, ``SMTPResponseException``.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._is_lost = False
        self._received = b""
        self._answers: list[SMTPResponse] = []
        self._missing = 0  # answers
        self._all: asyncio.Future[list[SMTPResponse]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._patience = 0.0
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        return not self._is_lost and not self._transport.is_closing()

    async def ask(self, command: bytes, patience: float) -> SMTPResponse:
        """Say ``command``, a whole line or the content of a mail, and return the answer; wait ``patience`` seconds."""
        (answer,) = await self.ask_together(command, 1, patience)
        return answer

    async def ask_together(self, commands: bytes, number: int, patience: float) -> list[SMTPResponse]:
        """Say so many commands at once and return their answers; wait ``patience`` seconds for each."""
        if not self.is_open:
            raise SMTPServerDisconnected("the connection is lost")
        answered: asyncio.Future[list[SMTPResponse]] = self._loop.create_future()
        self._received, self._answers, self._missing, self._all = b"", [], number, answered
        self._patience = patience
        self._transport.write(commands)
        self._wait(answered)
        try:
            return await answered
        finally:
            self._stop_waiting()
            self._all = None

    def _wait(self, answered: "asyncio.Future[list[SMTPResponse]]") -> None:
        self._stop_waiting()
        self._timer = self._loop.call_later(self._patience, self._give_up, answered)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def send_content(self, content: bytes, end: float) -> None:
        """Send a mail whose DATA is answered. Raises ``SMTPDataError`` if it is not taken.

        ``end`` is how long the server may take for the mail's end, in seconds.
        """
        taken = await self.ask(escaped(content), end)
        if taken.code != SMTPStatus.completed:
            raise SMTPDataError(taken.code, taken.message)

    def close(self) -> None:
        self._transport.abort()  # else TLS stays open until the server has said goodbye a second time

    def data_received(self, data: bytes) -> None:
        if self._all is None or self._all.done():
            return
        self._received += data
        missing = self._missing
        try:
            while self._missing and (answer := _response(self._received)) is not None:
                response, self._received = answer
                self._answers.append(response)
                self._missing -= 1
        except SMTPResponseException as error:
            self._all.set_exception(error)
        else:
            if not self._missing:
                self._all.set_result(self._answers)
            elif self._missing < missing:
                self._wait(self._all)

    def eof_received(self) -> bool:
        return False  # which closes the transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        if self._all is not None and not self._all.done():
            error = SMTPServerDisconnected("the connection is lost")
            error.__cause__ = exc
            self._all.set_exception(error)

    def _give_up(self, answered: "asyncio.Future[list[SMTPResponse]]") -> None:
        """After a late answer none could be matched with its command any more."""
        if not answered.done():
            answered.set_exception(SMTPReadTimeoutError("no answer in time"))
            self._transport.abort()


def escaped(content: bytes) -> bytes:
    """Return a mail as it is sent behind DATA, its end included: each line end is CRLF, each first dot doubled."""
    if not content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n"):
        content = _LINE_END.sub(b"\r\n", content)  # a bare one could end the mail at some servers
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    first = b"." if content.startswith(b".") else b""
    return first + content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def _response(received: bytes) -> tuple[SMTPResponse, bytes] | None:
    """Return a whole answer and what comes behind it, None if it is not whole yet.

    Raises ``SMTPResponseException`` if it is none.
    """
    if len(received) > MAX_RESPONSE:
        raise SMTPResponseException(SMTPStatus.invalid_response, "too long an answer")
    texts, end = list[bytes](), 0
    while (start := end) < (end := received.find(b"\n", start) + 1):
        line = received[start:end]
        if not line[:3].isdigit():
            raise SMTPResponseException(SMTPStatus.invalid_response, "this is no answer of SMTP")
        texts.append(line[4:].strip())
        if line[3:4] != b"-":
            text = b"\n".join(texts).decode("utf-8", "surrogateescape")
            return SMTPResponse(int(line[:3]), text), received[end:]
    return None
