"""Stands in for ``petition serve`` and ``petition worker``, and can fail as they hopefully never do.

``STAND_IN`` says how: ``dies``: the worker ends by itself once the web answers; ``stubborn``: it ignores SIGTERM.
"""

import json
import os
import signal
import smtplib
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

NAMES = ("DATA_DIR", "PORT", "BASE_URL", "DATABASE_URL", "SMTP_URLS", "MAIL_FROM")


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def serve() -> None:
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ready).serve_forever()


def work(how: str) -> None:
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    relay = urlsplit(os.environ["SMTP_URLS"])
    with smtplib.SMTP(relay.hostname or "", relay.port or 0) as client:
        client.sendmail(os.environ["MAIL_FROM"], ["anna@example.org"], b"Subject: from the worker\r\n\r\nHi")
    if how == "dies":
        time.sleep(1)
        sys.exit("the worker is out of paper")
    threading.Event().wait()


if __name__ == "__main__":
    role = sys.argv[1]
    seen = {name: os.environ.get(name) for name in NAMES} | {"pid": os.getpid(), "arguments": sys.argv[1:]}
    Path(os.environ["DATA_DIR"], f"{role}.json").write_text(json.dumps(seen))
    serve() if role == "serve" else work(os.environ.get("STAND_IN", ""))
