"""The name of the request that is being answered: in each line of the log that it causes, and on its error page.

A proxy's name for it is taken (``X-Request-ID``, or the trace of ``traceparent``, W3C Trace Context), so that its log
and ours can be read together; a client's own is not, since it could be another's.
"""

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar

_NAME = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_TRACE = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_NO_TRACE = b"0" * 32

current: ContextVar[str | None] = ContextVar("request_id", default=None)


def draw() -> str:
    return secrets.token_hex(8)


def of_proxy(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the name that a trusted proxy gave the request, if it is well formed."""
    trace = None
    for name, value in headers:
        if name == b"x-request-id" and _NAME.fullmatch(value):
            return value.decode()
        if name == b"traceparent" and (match := _TRACE.fullmatch(value)) and match[1] != _NO_TRACE:
            trace = match[1].decode()
    return trace
