"""The second factor: codes from an app (TOTP, RFC 6238), passkeys (``passkeys``), and recovery codes for the day both
are lost.

An organizer without one can only set one up; with one, every session must prove it. One always stays.
"""

import base64
import hmac
import re
import secrets
import time

import pyotp

from petition.core import audit_log
from petition.core.database import Connection
from petition.core.encryption import Wrapper
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import OrganizerId, SessionId
from petition.organizers import factor_queries as queries
from petition.organizers.desk_key import DeskKey

STEP = 30  # seconds a code lasts (RFC 6238, 4.1)
RECOVERY_CODES = 10

WRONG_CODE = N_("This code is wrong or has been used already. Codes change every half minute.")
NOTHING_BEGUN = N_("This took too long. Start again.")
LAST_ONE = N_("This is your only second factor. Set up another one first.")


async def begin_totp(conn: Connection, wrapper: Wrapper, session_id: SessionId) -> None:
    """Make the secret that a session is going to set up."""
    await queries.set_new_secret(conn, session_id, wrapper.wrap(pyotp.random_base32().encode()))


async def secret_begun(conn: Connection, wrapper: Wrapper, session_id: SessionId) -> str | None:
    """Return the secret that a session is setting up, for the app to read."""
    wrapped = await queries.new_secret(conn, session_id)
    return wrapper.unwrap(wrapped).decode() if wrapped else None


async def finish_totp(
    conn: Connection, wrapper: Wrapper, organizer_id: OrganizerId, session_id: SessionId, typed: str
) -> None:
    """Make the secret the organizer's once a code shows that the app has it. Raises ``Refused``."""
    await queries.lock(conn, organizer_id)
    secret = await secret_begun(conn, wrapper, session_id)
    if secret is None:
        raise Refused(NOTHING_BEGUN)
    step = step_of(secret, typed)
    if step is None:
        raise Refused(WRONG_CODE, "code")
    await queries.set_totp(conn, organizer_id, wrapper.wrap(secret.encode()), step)
    await queries.set_new_secret(conn, session_id, None)
    await audit_log.record(conn, organizer_id, None, "factor.add", after="totp")


async def prove(conn: Connection, wrapper: Wrapper, key: DeskKey, organizer_id: OrganizerId, typed: str) -> None:
    """Accept a code from the app, or a recovery code; each is accepted once. Raises ``Refused``."""
    if re.fullmatch(r"[0-9]{6}", code := re.sub(r"\s", "", typed)):
        row = await queries.totp(conn, organizer_id)
        step = step_of(wrapper.unwrap(row["wrapped_secret"]).decode(), code) if row else None
        if step is not None and await queries.pass_step(conn, organizer_id, step):
            return
    elif await queries.use_code(conn, organizer_id, await key.of_code(conn, organizer_id, plain(typed))):
        await audit_log.record(conn, organizer_id, None, "factor.recovery")
        return
    raise Refused(WRONG_CODE, "code")


def step_of(secret: str, typed: str) -> int | None:
    """Return the half minute whose code was typed: this one, the one before or after it; None if none of them."""
    code = re.sub(r"\s", "", typed)
    if not re.fullmatch(r"[0-9]{6}", code):
        return None
    totp, now = pyotp.TOTP(secret), int(time.time()) // STEP
    # All three are compared, so that the time says nothing about which fits.
    fits = [step for step in (now - 1, now, now + 1) if hmac.compare_digest(totp.generate_otp(step), code)]
    return max(fits, default=None)


def address_for_app(secret: str, name: str, issuer: str) -> str:
    """Return the ``otpauth:`` address that an app reads from the picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


async def new_codes(conn: Connection, key: DeskKey, organizer_id: OrganizerId) -> list[str]:
    """Replace the recovery codes; return the new ones, which cannot be displayed again."""
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    await queries.set_codes(conn, organizer_id, [await key.of_code(conn, organizer_id, plain(code)) for code in codes])
    await audit_log.record(conn, organizer_id, None, "factor.codes")
    return codes


async def first_codes(conn: Connection, key: DeskKey, organizer_id: OrganizerId) -> list[str]:
    """Return new recovery codes if the organizer has none left, else nothing."""
    return [] if await queries.codes(conn, organizer_id) else await new_codes(conn, key, organizer_id)


def _new_code() -> str:
    """Return 60 random bits in letters and digits that cannot be taken for each other (RFC 4648, base 32)."""
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()[:12]
    return "-".join((text[:4], text[4:8], text[8:]))


def plain(code: str) -> str:
    """Return a recovery code as it is digested, however it was typed."""
    return re.sub(r"[^a-z2-7]", "", code.lower())[:40]


async def remove(conn: Connection, organizer_id: OrganizerId, passkey: bytes | None) -> None:
    """Remove a passkey, or the app's codes (None); harmless if it is gone. Raises ``Refused`` if it is the last."""
    await queries.lock(conn, organizer_id)
    gone = await (
        queries.drop_passkey(conn, organizer_id, passkey) if passkey else queries.drop_totp(conn, organizer_id)
    )
    if gone and not await queries.factors(conn, organizer_id):
        raise Refused(LAST_ONE)
    if gone:
        await audit_log.record(conn, organizer_id, None, "factor.remove", before="passkey" if passkey else "totp")
