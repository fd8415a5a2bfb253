"""The values and errors that a form is shown with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from petition.signatures import forms
from petition.web.solved_before import AGAIN

CHALLENGE_FIELDS = {"altcha", "h-captcha-response", "drawn", "code", AGAIN}


@dataclass(frozen=True, slots=True)
class ShownForm:
    """What a form page shows in its fields, and what is wrong with them (in words, in the page's language)."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def typed_values(form: Mapping[str, str]) -> dict[str, str]:
    """Return what to show again: without answers to challenges, which hold once, and boxes that are not ticked."""
    left_out = CHALLENGE_FIELDS | {box for box in forms.BOXES if not forms.is_ticked(form, box)}
    return {name: value for name, value in form.items() if name not in left_out}
