"""The second factor: codes from an app (TOTP, RFC 6238), passkeys (``passkeys``), and recovery codes for the day both
are lost (``recovery_codes``).

An organizer without one can only set one up; with one, every session must prove it. One always stays.
"""

import hmac
import re
import time
from collections.abc import Iterable

import pyotp

from petition.core import audit_log
from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import OrganizerId, SessionId
from petition.organizers import factor_queries as queries
from petition.organizers import recovery_codes
from petition.organizers.desk_key import DeskKey

STEP = 30  # seconds a code lasts (RFC 6238, 4.1)

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


async def prepare(database: Database, key: DeskKey, organizer_id: OrganizerId, typed: str) -> list[bytes]:
    """Return what ``prove`` needs to compare a recovery code; nothing for a code from the app."""
    is_from_app = _app_code(typed) is not None
    return [] if is_from_app else await recovery_codes.stored_forms(database, key, organizer_id, typed)


async def prove(
    conn: Connection, wrapper: Wrapper, organizer_id: OrganizerId, typed: str, prepared: Iterable[bytes]
) -> None:
    """Accept a code from the app, or a recovery code; each is accepted once. Raises ``Refused``."""
    if _app_code(typed) is None:
        passed = await recovery_codes.use(conn, organizer_id, prepared)
    else:
        row = await queries.totp(conn, organizer_id)
        step = step_of(wrapper.unwrap(row["wrapped_secret"]).decode(), typed) if row else None
        passed = step is not None and await queries.pass_step(conn, organizer_id, step)
    if not passed:
        raise Refused(WRONG_CODE, "code")


def step_of(secret: str, typed: str) -> int | None:
    """Return the half minute whose code was typed: this one or the one before it; None if neither.

    A code that was read at the end of its half minute may be typed in the next one (RFC 6238, 5.2). One of the future
    was not read in an app whose clock is right.
    """
    code = _app_code(typed)
    if code is None:
        return None
    totp, now = pyotp.TOTP(secret), int(time.time()) // STEP
    # Both are compared, so that the time says nothing about which fits.
    fits = [step for step in (now - 1, now) if hmac.compare_digest(totp.generate_otp(step), code)]
    return max(fits, default=None)


def _app_code(typed: str) -> str | None:
    """Return the six digits of a code from the app; None if what was typed is none."""
    code = re.sub(r"\s", "", typed)
    return code if re.fullmatch(r"[0-9]{6}", code) else None


def address_for_app(secret: str, name: str, issuer: str) -> str:
    """Return the ``otpauth:`` address that an app reads from the picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


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
