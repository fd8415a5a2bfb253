"""Everything that an installation writes or answers, collected while it runs and after it has ended."""

import io
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pyrage

from petition.core.ids import SignatureId
from petition.core.tokens import Tokens
from petition.count_log import tiles
from tests import rows
from tests.leaks.living import Life
from tests.leaks.signatories import LETTERS, Signatory
from tests.postgres.tools import address, tool
from tests.running import KEY, PRIVATE_KEY

LETTERS_THERE = tuple(slug for slug in LETTERS if slug != "leaks-gone")
SIZES = "SELECT l.slug, c.size FROM count_log c JOIN letter l ON l.id = c.letter"


def files_below(*folders: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


async def pages(life: Life, slug: str) -> bytes:
    """Return what everyone can read of a letter."""
    parts = []
    paths = [f"/{lang}/{slug}{more}" for lang in ("en", "ru") for more in ("", "/signatories", "/signatories/print")]
    paths += [f"/api/v1/letters/{slug}{more}" for more in ("", "/count", "/partners", "/history")]
    paths += [f"/en/{slug}/signatories?kind=organization", f"/en/{slug}/feed.xml", f"/en/{slug}/copy.html"]
    for kind in ("person", "organization"):
        paths.append(f"/api/v1/letters/{slug}/signatories?kind={kind}&limit=100")
    while paths:
        path = paths.pop(0)
        answer = await life.site.client.get(path, headers=life.site.new_network())
        assert answer.status_code in {200, 403, 404, 410}, (path, answer.status_code)
        parts.append(answer.content)
        if "api/v1" in path and "/signatories" in path and answer.status_code == 200:
            after = answer.json().get("next")
            paths += [after] if after else []
    return b"\n".join(parts)


async def log_files(life: Life) -> tuple[bytes, int]:
    """Return the count logs as they are served, and how many entries they have."""
    parts, entries = [], 0
    for row in await rows.rows_of(life.site.database, SIZES):
        for path in (tiles.CHECKPOINT, *map(str, tiles.paths_of(row["size"]))):
            answer = await life.site.client.get(f"/log/{row['slug']}/{path}", headers=life.site.new_network())
            if row["slug"] in LETTERS_THERE and row["size"]:
                assert answer.status_code == 200, path
            parts.append(answer.content)
        entries += row["size"]
    return b"\n".join(parts), entries


async def mirrors(life: Life, folder: Path) -> dict[str, bytes]:
    """Return the files of the copies of all letters."""
    for slug in LETTERS_THERE:
        await life.command(f"mirror {slug} {folder / slug}")
        await life.command(f"mirror {slug} {folder / 'single'} --single")
    return files_below(folder)


async def exports(life: Life, slug: str) -> bytes:
    """Return what organizers take out of a letter."""
    return (await life.command(f"signatures export {slug} --format json")).encode()


async def own_pages(life: Life, signatories: Iterable[Signatory]) -> dict[int, bytes]:
    """Return what signatories can download by the link in their mail, by number."""
    data = {}
    for one in signatories:
        link = one.link.replace("/confirm/", "/signature/")
        answer = await life.site.client.get(f"{link}/data.json", headers=life.site.new_network())
        data[one.number] = answer.content
    return data


def dump(url: str, file: Path) -> bytes:
    """Return a dump by PostgreSQL's own tool."""
    tool("pg_dump", "--no-owner", *address(url), f"--file={file}", "petition")
    return file.read_bytes()


async def takeout(life: Life, file: Path) -> tuple[bytes, bytes]:
    """Return a takeout as it is, and its tables decrypted."""
    identity = pyrage.x25519.Identity.generate()
    file.with_suffix(".identity").write_text(f"{identity}\n")
    more = {"CONTACT_PRIVATE_KEY": PRIVATE_KEY}
    await life.command(f"takeout {file} --recipient {identity.to_public()}", **more)
    content = file.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(pyrage.decrypt(content, [identity])), mode="r:gz") as tar:
        parts = [tar.extractfile(member).read() for member in tar if member.name.startswith("tables/")]  # type: ignore[union-attr]
    return content, b"\n".join(parts)


def without_log(files: Iterable[Path]) -> bytes:
    """Return the files of a server that was shut down, without the log of its changes."""
    return b"\n".join(path.read_bytes() for path in files if not re.search(r"/pg_wal/", str(path)))


def token_of(life: Life, one: Signatory, signature_id: int) -> str:
    return Tokens([KEY]).for_signature(life.letters[one.slug], SignatureId(signature_id))
