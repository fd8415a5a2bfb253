"""Handing over mails on an SMTP connection that is open: MAIL, RCPT, DATA, and nothing else (RFC 5321, 4.1.1).

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
    """One connection. Commands are said one at a time; what a server says unasked is no answer to anything.

    Raises what aiosmtplib would: ``SMTPServerDisconnected``, ``SMTPReadTimeoutError``, ``SMTPResponseException``.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._is_lost = False
        self._received = b""
        self._answer: asyncio.Future[SMTPResponse] | None = None
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        return not self._is_lost and not self._transport.is_closing()

    async def ask(self, command: bytes, patience: float) -> SMTPResponse:
        """Say ``command``, a whole line or the content of a mail, and return the answer; wait ``patience`` seconds."""
        if not self.is_open:
            raise SMTPServerDisconnected("the connection is lost")
        answer: asyncio.Future[SMTPResponse] = self._loop.create_future()
        self._received, self._answer = b"", answer
        self._transport.write(command)
        timer = self._loop.call_later(patience, self._give_up, answer)
        try:
            return await answer
        finally:
            timer.cancel()
            self._answer = None

    async def send_content(self, content: bytes, step: float, end: float) -> None:
        """Send a mail whose envelope is accepted. Raises ``SMTPDataError`` if it is not taken.

        ``step`` is how long the server may take to answer DATA, ``end`` the mail's end, in seconds.
        """
        begun = await self.ask(b"DATA\r\n", step)
        if begun.code != SMTPStatus.start_input:
            raise SMTPDataError(begun.code, begun.message)
        taken = await self.ask(escaped(content), end)
        if taken.code != SMTPStatus.completed:
            raise SMTPDataError(taken.code, taken.message)

    def close(self) -> None:
        self._transport.abort()  # else TLS stays open until the server has said goodbye a second time

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            return
        self._received += data
        try:
            response = _response(self._received)
        except SMTPResponseException as error:
            self._answer.set_exception(error)
        else:
            if response is not None:
                self._answer.set_result(response)

    def eof_received(self) -> bool:
        return False  # which closes the transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        if self._answer is not None and not self._answer.done():
            error = SMTPServerDisconnected("the connection is lost")
            error.__cause__ = exc
            self._answer.set_exception(error)

    def _give_up(self, answer: "asyncio.Future[SMTPResponse]") -> None:
        """After a late answer none could be matched with its command any more."""
        if not answer.done():
            answer.set_exception(SMTPReadTimeoutError("no answer in time"))
            self._transport.abort()


def escaped(content: bytes) -> bytes:
    """Return a mail as it is sent behind DATA, its end included: each line end is CRLF, each first dot doubled."""
    if not content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n"):
        content = _LINE_END.sub(b"\r\n", content)  # a bare one could end the mail at some servers
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    first = b"." if content.startswith(b".") else b""
    return first + content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def _response(received: bytes) -> SMTPResponse | None:
    """Return a whole answer, None if it is not whole yet. Raises ``SMTPResponseException`` if it is none."""
    if len(received) > MAX_RESPONSE:
        raise SMTPResponseException(SMTPStatus.invalid_response, "too long an answer")
    lines = received.split(b"\n")[:-1]
    for number, line in enumerate(lines, 1):
        if not line[:3].isdigit():
            raise SMTPResponseException(SMTPStatus.invalid_response, "this is no answer of SMTP")
        if line[3:4] != b"-":
            text = b"\n".join(one[4:].strip() for one in lines[:number])
            return SMTPResponse(int(line[:3]), text.decode("utf-8", "surrogateescape"))
    return None
