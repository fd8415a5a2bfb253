"""The client of the keeper, which holds the second key of the digests of mailboxes.

The keeper gets digests, never a mailbox: it learns nothing by itself, and an intruder with the database and
``SECRET_KEY`` cannot try addresses without it. Values of all requests of a moment travel in one.
See docs/decisions/keeper.md.
"""

import hmac
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from petition.core.batching import Batcher
from petition.core.database import Connection, Database
from petition.core.encryption import LetterKeys
from petition.core.errors import PetitionError, Unavailable
from petition.core.keeper_settings import KeeperAddress
from petition.core.quotas import DayKey

if TYPE_CHECKING:
    import aiohttp

CERTIFICATE_EXPIRED = 10  # OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED
TIMEOUT = 0.9  # seconds: a form that meets a keeper which hangs waits for two requests at most
REST = 0.5  # seconds after a failure in which nothing is asked
LOOK_AGAIN = 2.0  # seconds between two looks whether the installation has been switched to a keeper
MAX_VALUES = 1000  # of one request
MAX_BODY = 256 * 1024  # bytes

FINGERPRINT = "SELECT fingerprint FROM keeper"

WRONG_TOKEN = "the keeper refuses KEEPER_TOKEN: it was started with another one"  # noqa: S105 - no token
WRONG_KEEPER = "the keeper has another key than the one that this database's digests were made with"
NOT_SET = "this database's digests need the keeper: set KEEPER_URL and KEEPER_TOKEN"
AWAY = "the keeper cannot be reached"


class KeeperPurpose(StrEnum):
    """What the keeper counts by."""

    SIGN = "sign"
    FIND = "find"
    CODE = "code"
    OWN_PAGE = "own_page"
    MAIL_IN = "mail_in"
    MAIL = "mail"
    DESK = "desk"
    IMPORT = "import"
    ADOPT = "adopt"
    CHECK = "check"


class KeeperRefused(PetitionError):
    """The keeper answers, but has another key than the database expects, or refuses this client's token."""


class _Question(NamedTuple):
    purpose: KeeperPurpose
    values: tuple[bytes, ...]


class FormTexts(NamedTuple):
    """What a form's digests are made of."""

    mailbox: str  # in its canonical spelling
    form: str


class FormDigests(NamedTuple):
    """What is stored of a form: nothing in it can be tried without the keeper, where there is one."""

    mailbox: bytes  # as the letter knows it
    quota_name: str  # what stands for the mailbox in the names of quotas; a day long, the same for all letters
    form: bytes


class KeeperClient:
    """Asks the keeper. One object per process; without an address it passes on what no keeper has touched."""

    def __init__(self, address: KeeperAddress | None, database: Database | None = None) -> None:
        self.address = address
        self._database = database
        self._session: aiohttp.ClientSession | None = None
        self._fingerprint: bytes | None = None
        self._looked_at = float("-inf")
        self._failed_at = float("-inf")
        self._batcher: Batcher[_Question, list[bytes]] = Batcher(self._ask_all)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def on(self, database: Database) -> AsyncIterator[None]:
        """Ask for what this database stores, until it ends."""
        self._database = database
        try:
            yield
        finally:
            await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def digest(self, keys: LetterKeys, text: str, purpose: KeeperPurpose) -> bytes:
        """Return the digest under which a letter knows ``text``. Raises ``KeyDestroyed``, ``Unavailable``."""
        (digest,) = await self.digests(keys, [text], purpose)
        return digest

    async def digests(self, keys: LetterKeys, texts: Sequence[str], purpose: KeeperPurpose) -> list[bytes]:
        values = [keys.digest(text) for text in texts]
        return await self.apply(values, purpose) if keys.is_kept else values

    async def of_form(self, keys: LetterKeys, texts: FormTexts, day: DayKey, purpose: KeeperPurpose) -> FormDigests:
        """Return the digests of a form that was sent. Raises ``KeyDestroyed``, ``Unavailable``."""
        digest, form = keys.digest(texts.mailbox), day.digest(texts.form)
        if not keys.is_kept:
            return FormDigests(digest, texts.mailbox, form)
        digest, name, form = await self.apply([digest, day.digest(f"mailbox {texts.mailbox}"), form], purpose)
        return FormDigests(digest, name.hex(), form)

    async def of_installation(self, conn: Connection, values: Sequence[bytes], purpose: KeeperPurpose) -> list[bytes]:
        """Return digests that belong to no letter as they are stored. Raises ``Unavailable``."""
        return await self.apply(values, purpose) if await self.is_adopted(conn) else list(values)

    async def is_adopted(self, conn: Connection) -> bool:
        """Return whether this database's digests need a keeper. Once they do, they always will."""
        if self._fingerprint is None and (self.address or time.monotonic() - self._looked_at > LOOK_AGAIN):
            self._fingerprint = await conn.fetchval(FINGERPRINT)
            self._looked_at = time.monotonic()
        return self._fingerprint is not None

    async def apply(self, values: Sequence[bytes], purpose: KeeperPurpose) -> list[bytes]:
        """Return the keeper's digest of each value. Raises ``Unavailable``, also if it is another keeper."""
        if self.address is None:
            raise Unavailable(NOT_SET)
        if not values:
            return []
        if len(values) <= MAX_VALUES // 4:
            return await self._batcher.submit(_Question(purpose, tuple(values)))
        digests: list[bytes] = []
        for start in range(0, len(values), MAX_VALUES):
            digests += (await self._ask_all([_Question(purpose, tuple(values[start : start + MAX_VALUES]))]))[0]
        return digests

    async def ask(self, values: Mapping[KeeperPurpose, Sequence[bytes]]) -> tuple[bytes, dict[str, list[bytes]]]:
        """Return the keeper's fingerprint, and the digests by purpose; the fingerprint is not compared.

        Raises ``KeeperRefused``, ``Unavailable``.
        """
        body = {"values": {str(purpose): [value.hex() for value in some] for purpose, some in values.items()}}
        answer = await self._exchange("POST", "/v1/digests", body)
        try:
            digests = {purpose: [bytes.fromhex(text) for text in some] for purpose, some in answer["digests"].items()}
            fingerprint = bytes.fromhex(answer["fingerprint"])
        except (KeyError, ValueError, TypeError, AttributeError):
            raise KeeperRefused("what answers at KEEPER_URL is no keeper") from None
        if {purpose: len(some) for purpose, some in digests.items()} != {
            str(purpose): len(some) for purpose, some in values.items()
        }:
            raise KeeperRefused("what answers at KEEPER_URL is no keeper")
        return fingerprint, digests

    async def counts(self) -> dict[str, Any]:
        """Return what the keeper's page shows. Raises ``KeeperRefused``, ``Unavailable``."""
        return await self._exchange("GET", "/v1/counts", None)

    async def trouble(self) -> str | None:
        """Return why the keeper keeps people from signing; None without one, as far as ``is_adopted`` has looked."""
        if self._fingerprint is None:
            return None
        try:
            fingerprint = (await self.counts()).get("fingerprint")
        except (KeeperRefused, Unavailable) as error:
            return str(error)
        return None if fingerprint == self._fingerprint.hex() else WRONG_KEEPER

    async def _ask_all(self, questions: Sequence[_Question]) -> list[list[bytes]]:
        if time.monotonic() - self._failed_at < REST:
            raise Unavailable(AWAY)
        try:
            return await self._ask_in_parts(questions)
        except KeeperRefused as error:
            self._failed_at = time.monotonic()
            raise Unavailable(str(error)) from error
        except Unavailable:
            self._failed_at = time.monotonic()
            raise

    async def _ask_in_parts(self, questions: Sequence[_Question]) -> list[list[bytes]]:
        """Ask in as many requests as it takes: of ``MAX_VALUES`` each."""
        results: list[list[bytes]] = []
        part: list[_Question] = []
        for question in questions:
            if part and sum(len(one.values) for one in part) + len(question.values) > MAX_VALUES:
                results += await self._ask_together(part)
                part = []
            part.append(question)
        return results + await self._ask_together(part)

    async def _ask_together(self, questions: Sequence[_Question]) -> list[list[bytes]]:
        values: dict[KeeperPurpose, list[bytes]] = {}
        for question in questions:
            values.setdefault(question.purpose, []).extend(question.values)
        fingerprint, digests = await self.ask(values)
        if not hmac.compare_digest(fingerprint, await self._expected()):
            raise KeeperRefused(WRONG_KEEPER)
        results = []
        for purpose, some in questions:
            results.append(digests[purpose][: len(some)])
            del digests[purpose][: len(some)]
        return results

    async def _expected(self) -> bytes:
        """Return the fingerprint of the keeper that made what is stored."""
        if self._fingerprint is None and self._database is not None:
            async with self._database.connection() as conn:
                await self.is_adopted(conn)
        if self._fingerprint is None:
            raise Unavailable("no keeper has been adopted; run `petition keeper adopt`")
        return self._fingerprint

    async def _exchange(self, method: str, path: str, body: object) -> dict[str, Any]:
        import aiohttp  # takes a while to import, and only installations with a keeper need it

        if self.address is None:
            raise Unavailable(NOT_SET)
        session = self._open_session(self.address)
        try:
            async with session.request(method, self.address.origin + path, json=body) as response:
                content = await response.content.read(MAX_BODY + 1)
                return self._read(response, content)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(_cause(error)) from error

    def _read(self, response: "aiohttp.ClientResponse", content: bytes) -> dict[str, Any]:
        import json

        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Unavailable("the keeper's limit is used up", retry_after=_seconds(response.headers))
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise KeeperRefused(WRONG_TOKEN)
        try:
            answer = json.loads(content) if response.status == HTTPStatus.OK and len(content) <= MAX_BODY else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise KeeperRefused("what answers at KEEPER_URL is no keeper")
        return answer

    def _open_session(self, address: KeeperAddress) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            connector: aiohttp.BaseConnector
            if address.socket is not None:
                connector = aiohttp.UnixConnector(str(address.socket), limit=4)
            else:
                context = ssl.create_default_context(cafile=address.ca_file) if address.is_tls else True
                connector = aiohttp.TCPConnector(limit=4, ssl=context)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
                headers={"authorization": f"Bearer {address.token}"},
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


NO_KEEPER = KeeperClient(None)


def _cause(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        links = (error, error.__cause__, getattr(error, "certificate_error", None))
        if any(getattr(link, "verify_code", None) == CERTIFICATE_EXPIRED for link in links):
            return "the keeper's certificate has expired: renew it, and restart `petition keeper`"
        return "the keeper's certificate is not believed: add ca=FILE to KEEPER_URL"
    return f"{AWAY} ({type(error).__name__})"


def _seconds(headers: Mapping[str, str]) -> int:
    text = headers.get("retry-after", "")
    return min(int(text), 60) if text.isdecimal() else 5
