"""``petition mirror``: what is in a copy, that no name is, and that a copy which is not as it was signed is refused."""

import asyncio
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from petition.core.database import Database
from petition.core.resources import PACKAGE
from petition.core.signed_notes import NoteSigner
from petition.mirrors import sealing
from tests import commands
from tests.mirrors.copies import PDF, PEOPLE, fill
from tests.running import SLUG, environment

ONION = f"http://{'a' * 56}.onion"


@pytest.fixture
async def environ(database_url: str, tmp_path: Path) -> dict[str, str]:
    more = {"BASE_URL": "http://localhost:8000", "ONION_URL": ONION, "MIRROR_URLS": "https://mirror.example/letters"}
    return environment(tmp_path / "data", database_url, 8000, **more)


@pytest.fixture
async def typed(database: Database, environ: dict[str, str], tmp_path: Path) -> list[str]:
    """Fill the letter; give every value that its signatories have typed."""
    return await fill(database, environ, tmp_path)


@pytest.fixture
async def copy(typed: list[str], environ: dict[str, str], tmp_path: Path) -> Path:
    code, said = await commands.run(f"mirror {SLUG} {tmp_path / 'copy'}", environ)
    assert code == 0, said
    return tmp_path / "copy"


@pytest.fixture
async def one_file(typed: list[str], environ: dict[str, str], tmp_path: Path) -> Path:
    code, said = await commands.run(f"mirror {SLUG} {tmp_path / 'one'} --single", environ)
    assert code == 0, said
    path = tmp_path / "one" / f"{SLUG}.html"
    assert f"{path}: {path.stat().st_size:,} bytes" in said
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def verify(target: object, more: str = "") -> tuple[int, str]:
    """Verify with an empty environment: nothing of the installation is needed."""
    return await commands.run(f"mirror --verify {target} {more}".strip(), {})


async def test_a_copy_has_the_letter_in_every_language_and_no_name(
    typed: list[str], copy: Path, one_file: Path, database: Database
) -> None:
    files = contents(copy)
    assert {f"{lang}/{page}.html" for lang in ("en", "ru") for page in ("index", "versions", "updates", "answers")} <= (
        files.keys()
    )
    assert {"index.html", "badge-en.svg", "badge-ru.json", "card-ru.png", "count.json", "versions.json"} <= files.keys()
    count = json.loads(files["count.json"])
    assert count["total"] == PEOPLE
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", count["counted_at"])
    assert b"Keep transit and peering running" in files["en/index.html"]
    assert "Продлевать сертификаты".encode() in files["ru/index.html"]
    assert b"We will keep it." in files["en/answers.html"]
    assert "Мы сохраним.".encode() in files["ru/answers.html"]
    assert "Первый ответ".encode() in files["ru/updates.html"]
    assert PDF in files.values()
    everything = b"\n".join([*files.values(), *(name.encode() for name in files), one_file.read_bytes()])
    assert len(typed) > 3 * PEOPLE
    assert [value for value in typed if value.encode() in everything] == []
    async with database.connection() as conn:  # and yet these names are there to be found
        assert await conn.fetchval("SELECT count(*) FROM signature WHERE name LIKE 'Zebulonius%'") > 0


async def test_no_link_of_a_copy_leads_to_a_path_of_its_server(copy: Path, one_file: Path) -> None:
    pages = [path for path in copy.rglob("*.html")]
    assert len(pages) == 11
    for page in pages:
        html = page.read_text(encoding="utf-8")
        for target in re.findall(r'\b(?:href|src)="([^"]*)"', html):
            if re.match(r"(?:https?|data|mailto):", target) or target.startswith("#"):
                continue
            path, _, fragment = target.partition("#")
            assert not path.startswith("/"), target
            linked = (page.parent / path).resolve()
            assert linked.is_file(), (page, target)
            assert not fragment or f'id="{fragment}"' in linked.read_text(encoding="utf-8"), target
        assert "<script" not in html
        assert "<form" not in html
    html = one_file.read_text(encoding="utf-8")
    for target in re.findall(r'\b(?:href|src)="([^"]*)"', html):
        assert re.match(r"(?:https?|data|mailto):|#", target), target
        assert not target.startswith("#") or f'id="{target[1:]}"' in html, target


async def test_the_way_to_sign_leads_to_the_addresses_that_answer(copy: Path, one_file: Path) -> None:
    for html in ((copy / "en/index.html").read_text(), one_file.read_text()):
        assert f'href="http://localhost:8000/en/{SLUG}#sign"' in html
        assert f'href="{ONION}/en/{SLUG}#sign"' in html
        assert f'href="https://mirror.example/letters/{SLUG}/en/index.html"' in html
        assert "This is a copy made on" in html


async def test_a_copy_is_verified_from_its_folder_with_the_key_and_without(copy: Path, environ: dict[str, str]) -> None:
    code, said = await verify(copy)
    assert (code, "everything is as it was signed" in said) == (0, True)
    key = re.search(r"^key: (\S+)$", said, re.MULTILINE)
    assert key is not None
    assert "compare it" in said
    assert (await verify(copy, f"--key {key[1]}"))[0] == 0
    other = "localhost:8000+00000000+AQ=="
    assert (await verify(copy, f"--key {other}"))[0] == 1
    code, said = await verify(copy, f"--key {'ab' * 32}")
    assert (code, "signature" in said) == (1, True)


async def test_whatever_differs_by_one_byte_fails(copy: Path) -> None:
    for path in sorted(path for path in copy.rglob("*") if path.is_file()):
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        code, said = await verify(copy)
        assert code == 1, path
        assert "wrong: " in said
        path.write_bytes(content)
    assert (await verify(copy))[0] == 0


async def test_a_file_that_is_missing_or_added_fails(copy: Path) -> None:
    (copy / "en/extra.html").write_text("<p>added")
    code, said = await verify(copy)
    assert (code, "wrong: en/extra.html: is not in the manifest" in said) == (1, True)
    (copy / "en/extra.html").unlink()
    (copy / "ru/answers.html").unlink()
    code, said = await verify(copy)
    assert (code, "wrong: ru/answers.html: is missing" in said) == (1, True)
    (copy / "manifest.note").unlink()
    assert (await verify(copy))[0] == 1


async def test_an_old_copy_that_was_put_back_is_too_old(copy: Path, environ: dict[str, str], tmp_path: Path) -> None:
    assert (await verify(copy, "--max-age 1h"))[0] == 0
    late = datetime.now(UTC) + timedelta(days=3)

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Later":
            return cls.fromtimestamp(late.timestamp(), UTC)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("petition.cli.mirror.datetime", Later)
        code, said = await verify(copy, "--max-age 2d")
        assert (code, "wrong: the copy is older" in said) == (1, True)
        assert "(3 days old)" in said
        assert (await verify(copy))[0] == 0  # without an age the time is only said


async def test_files_of_an_older_copy_under_a_new_manifest_fail(
    copy: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(copy, old)
    assert (await commands.run(f"letter close {SLUG}", environ))[0] == 0
    assert (await commands.run(f"mirror {SLUG} {copy}", environ))[0] == 0
    shutil.copy(old / "en/index.html", copy / "en/index.html")
    code, said = await verify(copy)
    assert (code, "en/index.html" in said) == (1, True)
    shutil.copy(old / "manifest.json", copy / "manifest.json")
    assert (await verify(copy))[0] == 1


async def test_a_folder_that_holds_something_else_is_left_alone(
    typed: list[str], environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    code, said = await commands.run(f"mirror {SLUG} {tmp_path / 'mine'}", environ)
    assert (code, "no mirror" in said) == (1, True)
    assert contents(tmp_path / "mine") == {"thesis.txt": b"years of work"}
    assert (await commands.run(f"mirror no-such-letter {tmp_path / 'new'}", environ))[0] == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "arguments", ["mirror", f"mirror {SLUG}", f"mirror {SLUG} dir --verify x", "mirror --single --verify x"]
)
async def test_unclear_usage_is_refused(arguments: str) -> None:
    assert (await commands.run(arguments, {}))[0] == 2


async def test_a_file_to_pass_on_is_verified_and_refused_when_a_byte_differs(one_file: Path) -> None:
    code, said = await verify(one_file)
    assert (code, "everything is as it was signed" in said) == (0, True)
    content = one_file.read_bytes()
    assert len(content) < 60_000
    head = content.rpartition(sealing.BEGIN)[0] + sealing.BEGIN
    assert sha256(head).hexdigest().encode() in content[len(head) :]  # its own digest stands at its end
    places = [10, len(content) // 3, content.index(b"<h1"), len(head) + 5, len(content) - 30, len(content) - 3]
    for place in places:
        one_file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert (await verify(one_file))[0] == 1, place
    for changed in (content + b"<p>more", content.replace(b"</body>", b"<p>more</body>"), content[:-20], b""):
        one_file.write_bytes(changed)
        assert (await verify(one_file))[0] == 1


async def test_a_seal_of_another_key_is_refused(one_file: Path) -> None:
    assert (await verify(one_file, f"--key {'ab' * 32}"))[0] == 1


class Handler(http.server.SimpleHTTPRequestHandler):
    redirects = False

    def do_GET(self) -> None:
        if self.redirects:
            self.send_response(302)
            self.send_header("location", "http://169.254.169.254/latest/")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path, handler: type[Handler] = Handler) -> Iterator[str]:
    """Serve a folder as ``python -m http.server`` does; give its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_a_copy_is_verified_from_a_plain_server(copy: Path) -> None:
    with served(copy.parent) as url:
        for address in (f"{url}/copy", f"{url}/copy/"):
            code, said = await verify(address)
            assert (code, "everything is as it was signed" in said) == (0, True)
        page = copy / "ru/index.html"
        page.write_bytes(page.read_bytes().replace(b"<h1", b"<h2", 1))
        code, said = await verify(f"{url}/copy/")
        assert (code, "wrong: ru/index.html: differs from what was signed" in said) == (1, True)
        page.write_bytes(page.read_bytes() + b" " * 1000)
        assert "has more bytes than were signed" in (await verify(f"{url}/copy/"))[1]
        page.unlink()
        assert "wrong: ru/index.html: is missing" in (await verify(f"{url}/copy/"))[1]
        assert (await verify(f"{url}/nothing/"))[0] == 1
    assert (await verify(f"{url}/copy/"))[0] == 1  # nothing listens any more


async def test_a_redirect_is_not_followed(copy: Path) -> None:
    class Redirecting(Handler):
        redirects = True

    with served(copy, Redirecting) as url:
        code, said = await verify(url)
    assert (code, "redirects" in said) == (1, True)


async def test_a_manifest_that_leads_out_of_the_mirror_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_bytes())
    for path in ("../../etc/passwd", "/etc/passwd", "en/../../x", "//host/x", "a?b", ""):
        files = {**manifest["files"], path: {"sha256": "0" * 64, "bytes": 1}}
        (copy / "manifest.json").write_text(json.dumps({**manifest, "files": files}))
        assert (await verify(copy))[0] == 1


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"written_at": "9999-12-31T23:59:59-12:00"}, "evil.example"),
        ({"written_at": "2026-01-01T00:00:00"}, "evil.example"),
        ({"count": {"total": float("inf"), "counted_at": "2026-01-01T00:00:00Z"}}, "evil.example"),
        ({"count": {"total": 1, "counted_at": "0001-01-01T00:00:00+12:00"}}, "evil.example"),
        ({}, "evil\x1b[2J"),
        ({}, "evil\u202e"),
    ],
)
async def test_what_a_stranger_has_sealed_is_refused_in_one_line(
    copy: Path, change: dict[str, object], name: str
) -> None:
    signer = NoteSigner(name, bytes(32))
    manifest = json.loads((copy / "manifest.json").read_bytes()) | {"key": str(signer.key)} | change
    content = json.dumps(manifest).encode()
    note = f"{name}/mirror/{SLUG}\nsha256 {sha256(content).hexdigest()}\nwritten {manifest['written_at']}\n"
    (copy / "manifest.json").write_bytes(content)
    (copy / "manifest.note").write_text(signer.sign(note))
    code, said = await verify(copy)
    assert (code, said.count("\n"), said.isprintable()) == (1, 1, False)
    assert said.startswith("wrong: ")
    assert said.rstrip("\n").isprintable()


async def test_a_letter_may_speak_of_keys(
    typed: list[str], environ: dict[str, str], database: Database, tmp_path: Path
) -> None:
    async with database.transaction() as conn:
        await conn.execute(
            "UPDATE version SET texts = replace(texts::text, '<p>', '<p>mirror --verify FILE --key x+y ')::jsonb"
        )
    assert (await commands.run(f"mirror {SLUG} {tmp_path / 'a.html'} --single", environ))[0] == 0
    assert b"--key x+y" in (tmp_path / "a.html").read_bytes()
    code, said = await verify(tmp_path / "a.html")
    assert (code, "everything is as it was signed" in said) == (0, True), said


async def test_a_file_with_a_time_of_no_zone_is_refused_in_one_line(one_file: Path) -> None:
    signer = NoteSigner("evil.example", bytes(32))
    head = f"petition mirror --verify FILE --key {signer.key}".encode() + sealing.BEGIN
    for written in ("2026-01-01", "9999-12-31T23:59:59-12:00"):
        text = (
            f"evil.example/copy/{SLUG}\nwritten {written}\ncounted 2026-01-01T00:00:00Z\ntotal 1\nbytes {len(head)}\n"
        )
        note = signer.sign(f"{text}sha256 {sha256(head).hexdigest()}\n")
        one_file.write_bytes(head + note.encode() + sealing.END)
        assert await verify(one_file) == (1, "wrong: the seal has no time\n")


KILLED_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from petition.cli.main import main
from petition.mirrors import folders
write = Path.open
done = []
def stop(self, mode="r", *more, **kwargs):
    if mode == "wb":
        done.append(self)
        if len(done) == 8:
            os.kill(os.getpid(), signal.SIGKILL)
    return write(self, mode, *more, **kwargs)
Path.open = stop
main(sys.argv[1:])
"""


async def test_killed_half_way_the_old_copy_stays(copy: Path, environ: dict[str, str]) -> None:
    before = contents(copy)
    own = os.environ | environ | {"PYTHONPATH": str(PACKAGE.parent)}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", KILLED_HALF_WAY, "mirror", SLUG, str(copy)], env=own, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert contents(copy) == before
    assert (await verify(copy))[0] == 0
    assert (await commands.run(f"mirror {SLUG} {copy}", environ))[0] == 0
    remains = [path.name for path in copy.parent.iterdir() if path.name.startswith(".")]
    assert remains == []
