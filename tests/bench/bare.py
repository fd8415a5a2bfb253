"""What we are measured against, on the same server: the bytes of a page, or a form that is parsed, and nothing else."""

import http.client
import pickle
import sys
from pathlib import Path
from urllib.parse import parse_qsl

import uvicorn

from petition.web.gateway import App, Receive, Scope, Send
from petition.web.page_cache import Header
from petition.web.server import configuration

FORM = "form"  # in place of a file
SERVERS_OWN = {"date", "server", "connection"}


def fetch(port: int, path: str) -> tuple[list[Header], bytes]:
    """Return the compressed answer to GET ``path``, without the headers that the server itself adds."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"accept-encoding": "gzip"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, answer.status
    headers = [(n.encode(), v.encode()) for n, v in answer.getheaders() if n.lower() not in SERVERS_OWN]
    return headers, body


def application(headers: list[Header], body: bytes) -> App:
    """Return an application that gives this answer to everyone."""

    async def bare(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _start_and_stop(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return bare


async def take_form(scope: Scope, receive: Receive, send: Send) -> None:
    """Parse the form in a body as the standard library does, and answer 303."""
    if scope["type"] == "lifespan":
        await _start_and_stop(receive, send)
        return
    chunks, more = [], scope["method"] == "POST"
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    form = dict(parse_qsl(b"".join(chunks).decode(), keep_blank_values=True, strict_parsing=bool(chunks)))
    status = 303 if "email" in form or not chunks else 422
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"location", b"/"), (b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


async def _start_and_stop(receive: Receive, send: Send) -> None:
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


def main() -> None:
    port, file = int(sys.argv[1]), sys.argv[2]
    app: App = take_form if file == FORM else application(*pickle.loads(Path(file).read_bytes()))
    uvicorn.Server(configuration(app, "127.0.0.1", port)).run()


if __name__ == "__main__":
    main()
