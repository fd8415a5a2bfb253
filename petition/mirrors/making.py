"""Making copies of letters: read, rendered in a thread, signed with the installation's key."""

import asyncio
import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from petition.core import signing_key
from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper
from petition.core.signed_notes import NoteSigner
from petition.core.templates import Renderer
from petition.core.version import version
from petition.letters.published import PublishedLetter
from petition.mirrors import manifest, pages, sealing
from petition.mirrors.model import Addresses, CopyFacts, LetterSnapshot
from petition.mirrors.reading import read_snapshot
from petition.mirrors.sealing import Seal


@dataclass(frozen=True, slots=True)
class MirrorMaker:
    """Makes the copies of an installation's letters."""

    database: Database
    wrapper: Wrapper
    renderer: Renderer
    addresses: Addresses

    async def folder(self, published: PublishedLetter) -> dict[str, bytes]:
        """Return path → content of a letter's mirror, its signed manifest included. Raises ``Unavailable``."""
        snapshot = await read_snapshot(self.database, self.wrapper, published)
        signer, facts = await self._signer(), self._facts()
        return await asyncio.to_thread(self._folder, snapshot, facts, signer)

    def _folder(self, snapshot: LetterSnapshot, facts: CopyFacts, signer: NoteSigner) -> dict[str, bytes]:
        files = pages.folder_files(snapshot, facts, self.renderer, signer)
        content = manifest.build(
            snapshot, facts, self.state_of(snapshot.published, snapshot.log_state), files, signer.key
        )
        note = manifest.sign(signer, self.addresses.host, snapshot.letter.slug, content, facts.written_at)
        return files | {manifest.MANIFEST: content, manifest.NOTE: note}

    async def one_file(self, published: PublishedLetter, lang: str) -> bytes:
        """Return a letter as one sealed page, in ``lang`` first. Raises ``Unavailable``."""
        snapshot = await read_snapshot(self.database, self.wrapper, published, with_documents=False)
        signer, facts = await self._signer(), self._facts()
        return await asyncio.to_thread(self._one_file, snapshot, facts, lang, signer)

    def _one_file(self, snapshot: LetterSnapshot, facts: CopyFacts, lang: str, signer: NoteSigner) -> bytes:
        html = pages.one_file(snapshot, facts, self.renderer, lang, str(signer.key))
        published = snapshot.published
        values = Seal(
            host=self.addresses.host,
            letter=snapshot.letter.slug,
            written_at=facts.written_at,
            counted_at=published.counted_at,
            total=published.counts.total,
            size=0,
            sha256="",
        )
        return sealing.seal(html, signer, values)

    async def signer(self, conn: Connection) -> NoteSigner:
        """Return what signs this installation's copies, under its host."""
        return await signing_key.signer(conn, self.wrapper, self.addresses.host)

    async def _signer(self) -> NoteSigner:
        async with self.database.connection() as conn:
            return await self.signer(conn)

    def _facts(self) -> CopyFacts:
        return CopyFacts(self.addresses, datetime.now(UTC).replace(microsecond=0))

    def state_of(self, published: PublishedLetter, log_state: str) -> str:
        """Return a digest that changes with everything a mirror shows, apart from times.

        ``log_state`` is that of the count log. The day is in it: the pages say for how many days addressees are silent.
        """
        letter = published.letter
        content = [
            version(),
            letter.revision,
            letter.state,
            asdict(published.counts),
            repr((letter.switches.pause, letter.switches.banners)),
            str(published.today),
            asdict(self.addresses),
            log_state,
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
