"""What ASGI has no words for: taking a connection from the server, for a response that lasts.

Like petition.web.connection it uses uvicorn's internals; another server's responses are left alone.
"""

import asyncio
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from petition.web.connection import GuardedProtocol


class TakenConnection(NamedTuple):
    """A connection that is the caller's, with the beginning of the response to its request."""

    transport: asyncio.Transport
    head: bytes  # status line and the server's own headers
    is_chunked: bool  # False for HTTP/1.0, whose response ends with the connection
    others: int  # connections that are open, without those that were taken


def take_over(send: object, protocol: asyncio.Protocol) -> TakenConnection | None:
    """Give the connection behind ``send`` to ``protocol``, for good; None if it is being closed, or another server's.

    Everything that the server holds for the connection and its request is freed when the application returns: some
    eight kilobytes.
    """
    cycle = getattr(send, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle):
        return None
    connection = getattr(cycle.on_response, "__self__", None)
    if not isinstance(connection, GuardedProtocol) or cycle.response_started or cycle.disconnected:
        return None
    transport = connection.hand_over(protocol)
    if transport is None:
        return None
    is_chunked = cycle.scope["http_version"] != "1.0"
    lines = [b"%b: %b\r\n" % header for header in cycle.default_headers]
    framing = [b"transfer-encoding: chunked\r\n"] if is_chunked else []
    head = b"".join((b"HTTP/1.1 200 OK\r\n", *lines, *framing))
    return TakenConnection(transport, head, is_chunked, len(connection.open_connections))
