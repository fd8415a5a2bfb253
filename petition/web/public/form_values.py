"""The values and errors that a form is shown with."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ShownForm:
    """What a form page shows in its fields, and what is wrong with them (in words, in the page's language)."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
