"""The code that a browser displays after asking for a sign-in link, for opening the link in another browser.

Capital letters that Latin and Cyrillic share, and digits that resemble no letter: six of thirteen characters, 22 bits.
"""

import re

ALPHABET = "ACEHKMPTX2479"
LENGTH = 6
CYRILLIC = "АСЕНКМРТХ"  # as a Russian keyboard types the letters
MAX_TYPED = 40

_TO_LATIN = str.maketrans(CYRILLIC, ALPHABET[: len(CYRILLIC)])


def from_digest(digest: bytes) -> str:
    """Return the code that follows from at least 16 random bytes."""
    number, characters = int.from_bytes(digest), []
    for _ in range(LENGTH):
        number, index = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[index])
    return "".join(characters)


def plain(typed: str) -> str:
    """Return a code as it is compared, however it was typed."""
    return re.sub(r"[^A-Z0-9]", "", typed[:MAX_TYPED].upper().translate(_TO_LATIN))


def grouped(code: str) -> str:
    """Return a code as it is read aloud: two groups."""
    return f"{code[:3]} {code[3:]}"
