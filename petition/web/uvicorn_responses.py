"""What ASGI has no words for: a response without chunks, and a connection that is closed at once.

Like petition.web.connection it uses uvicorn's internals; another server's responses are left alone.
"""

import sys
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def disable_chunking(send: object) -> None:
    """Have uvicorn send the body of an HTTP/1.0 response unframed, and close the connection at its end.

    HTTP/1.0 has no chunks (RFC 9112, 6.1), and some proxies use it by default, nginx for one. Call it before the
    response starts; another server's ``send`` is left alone.
    """
    cycle: Any = getattr(send, "__self__", None)
    if isinstance(cycle, RequestResponseCycle):
        cycle.chunked_encoding, cycle.expected_content_length, cycle.keep_alive = False, sys.maxsize, False


def abort(send: object) -> bool:
    """Abort the connection behind ``send`` with what is still in its buffer; False if the server is another one."""
    cycle = getattr(send, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle):
        return False
    cycle.transport.abort()
    return True
