"""Ceilings above which signatures wait for a moderator. Nothing is refused, and no threshold can be read."""


def threshold(key: bytes, limit: int) -> int:
    """Return the ceiling of one quota: drawn by its ``key`` from ½ to 1½ of ``limit``, one in twenty from 1 to ½.

    The key is a digest under a secret, so the draw cannot be known outside. Without the small ones, the owner of many
    mailboxes could conclude from a signature that waits that another one of the domain exists
    (docs/decisions/forgery.md).
    """
    half = limit // 2
    draw = int.from_bytes(key[-8:], "big")
    if draw % 20 == 0:
        return 1 + draw // 20 % max(1, half)
    return half + draw // 20 % (limit + 1)
