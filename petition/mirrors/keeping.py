"""The worker's mirrors: a folder for each published letter below ``MIRROR_DIR``, brought up to date on a schedule.

A mirror is written anew when something that it shows has changed, at most once in ``SPACING``, and when the time of its
count is older than the settings allow. What is there is read from the folder itself: several workers, and folders of
different machines, need not agree on anything.
"""

import asyncio
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from petition.core.errors import NotFound
from petition.count_log import reading
from petition.letters.published import PublishedLetter, PublishedLetters
from petition.mirrors import contexts, folders, manifest, pages, queries
from petition.mirrors.making import MirrorMaker
from petition.mirrors.manifest import MANIFEST, MAX_MANIFEST, Manifest
from petition.mirrors.model import BadMirror

log = logging.getLogger(__name__)

POLL = 15.0  # seconds
SPACING = timedelta(minutes=1)
MAX_A_STEP = 20  # mirrors, so that a worker can stop in between
MAX_LETTERS = 500
INDEX = "index.html"
LOCK = ".lock"


@dataclass(slots=True)
class MirrorFolder:
    """Keeps the mirrors below a folder up to date."""

    maker: MirrorMaker
    letters: PublishedLetters
    folder: Path
    max_age: timedelta
    _failures: dict[str, datetime] = field(default_factory=dict)

    async def step(self) -> bool:
        """Write what is due; return whether more is. Raises ``Unavailable``."""
        await self.letters.refresh()
        letters = self.letters
        published = [*await letters.index(MAX_LETTERS), *await letters.closed(MAX_LETTERS)][:MAX_LETTERS]
        with _locked(self.folder) as is_ours:
            if not is_ours:  # another worker of this machine is at it
                return False
            await self._remove_others()
            async with self.maker.database.connection() as conn:
                logs = await reading.log_states(conn, [row.letter.id for row in published])
            due = [row for row in published if self._is_due(row, logs.get(row.letter.id, ""))]
            for row in due[:MAX_A_STEP]:
                await self._write(row)
            await self._write_index(published)
        return len(due) > MAX_A_STEP

    def _is_due(self, published: PublishedLetter, log_state: str) -> bool:
        slug, now = published.letter.slug, datetime.now(UTC)
        if slug in self._failures and now - self._failures[slug] < SPACING:
            return False
        there = _manifest_in(self.folder / slug)
        if there is None or there.counted_at < now - self.max_age:
            return True
        return there.state != self.maker.state_of(published, log_state) and there.written_at <= now - SPACING

    async def _write(self, published: PublishedLetter) -> None:
        letter = published.letter
        try:
            files = await self.maker.folder(published)
            await asyncio.to_thread(folders.replace, self.folder / letter.slug, files)
        except NotFound:  # taken down in this moment
            return
        except (OSError, BadMirror) as error:
            await self._note_failure(published, error)
            return
        self._failures.pop(letter.slug, None)
        written = manifest.read(files[MANIFEST])
        size = len(files), sum(len(content) for content in files.values())
        async with self.maker.database.connection() as conn:
            await queries.written(conn, letter.id, written.written_at, written.counted_at, size)

    async def _note_failure(self, published: PublishedLetter, error: Exception) -> None:
        """A disk that is full or a folder of another account: the desk says so, and it is tried again."""
        letter = published.letter
        reason = (error.strerror or type(error).__name__) if isinstance(error, OSError) else "no mirror stands there"
        if letter.slug not in self._failures:
            log.warning("mirror not written", extra={"letter": letter.id, "reason": reason})
        self._failures[letter.slug] = datetime.now(UTC)
        async with self.maker.database.connection() as conn:
            await queries.failed(conn, letter.id, reason)

    async def _remove_others(self) -> None:
        """Remove the mirrors of letters that are not published any more."""
        for path in await asyncio.to_thread(_mirrors_in, self.folder):
            if self.letters.counts(path.name) is None and await asyncio.to_thread(folders.remove, path):
                log.info("mirror removed")

    async def _write_index(self, published: list[PublishedLetter]) -> None:
        languages = tuple(self.maker.renderer.languages)
        titles = [(row.letter.slug, contexts.titles(row.letter, languages)) for row in published]
        content = pages.list_of_letters(titles, self.maker.addresses.host, self.maker.renderer)
        await asyncio.to_thread(_replace_if_changed, self.folder / INDEX, content)


def _manifest_in(folder: Path) -> Manifest | None:
    try:
        with (folder / MANIFEST).open("rb") as file:
            return manifest.read(file.read(MAX_MANIFEST))
    except (OSError, BadMirror):
        return None


def _mirrors_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and folders.letter_in(path) == path.name]


def _replace_if_changed(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        folders.replace_file(path, content)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the folder against other workers of this machine; False if another has it."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        folder.chmod(folders.FOLDER_MODE)
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
