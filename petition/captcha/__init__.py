"""Challenges that keep machines from filling the list: proof of work, a drawn code, hCaptcha.

One door, ``Captchas``; nothing here knows the database or HTTP requests. A challenge is not remembered anywhere: it
is signed, belongs to a letter, and expires. Only a stored signature uses it up (``Passed.nonce``).
"""

from petition.captcha.captchas import Captchas
from petition.captcha.model import DrawnCode, Passed, Refusal, Result

__all__ = ["Captchas", "DrawnCode", "Passed", "Refusal", "Result"]
