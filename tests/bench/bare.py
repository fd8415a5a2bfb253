"""What a page is measured against: the same bytes from the same server, with nothing in between."""

import http.client
import pickle
import sys
from pathlib import Path

import uvicorn

from petition.web.gateway import App, Receive, Scope, Send
from petition.web.page_cache import Header
from petition.web.server import configuration

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
            for _ in range(2):
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return bare


if __name__ == "__main__":
    port, answer = int(sys.argv[1]), pickle.loads(Path(sys.argv[2]).read_bytes())
    uvicorn.Server(configuration(application(*answer), "127.0.0.1", port)).run()
