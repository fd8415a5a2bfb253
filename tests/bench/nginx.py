"""The measure of a warm page: nginx serving the same bytes from a file, in one process."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench.bare import fetch
from tests.bench.place import Server, running, up
from tests.running import free_port

# One process without a master; what every installation would switch on for files is on.
CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  open_file_cache max=100;
  client_body_temp_path {folder};
  proxy_temp_path {folder};
  fastcgi_temp_path {folder};
  uwsgi_temp_path {folder};
  scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location = {path} {{
      alias {folder}/page;
      default_type "text/html; charset=utf-8";
      etag off;
      if_modified_since off;
      {headers}
    }}
  }}
}}
"""
ITS_OWN = {b"content-type", b"content-length"}


@contextlib.asynccontextmanager
async def beside(model: Server, path: str, folder: Path, user: str = "root") -> AsyncIterator[Server]:
    """Run nginx over a file with the body that ``model`` answers with, and with its headers."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise RuntimeError("nginx is needed: apt-get install nginx-light")
    headers, body = fetch(model.port, path)
    folder = folder / "nginx"
    folder.mkdir(exist_ok=True)
    (folder / "page").write_bytes(body)
    port = free_port()
    lines = [
        f"add_header {name.decode()} {_quoted(value.decode())};"
        for name, value in headers
        if name.lower() not in ITS_OWN
    ]
    configuration = CONFIGURATION.format(user=user, folder=folder, port=port, path=path, headers="\n      ".join(lines))
    (folder / "nginx.conf").write_text(configuration)
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with running(command, port, {}, folder / "nginx.out") as process:
        await up(port, path)
        if fetch(port, path)[1] != body:
            raise RuntimeError("nginx answers with other bytes")
        yield Server(port, process)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
