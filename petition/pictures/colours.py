"""The colours of embeds, and text colours with enough contrast on any accent."""

LIGHT, DARK = "light", "dark"
AUTO = "auto"  # as the browser prefers
_WHITE, _BLACK = "#ffffff", "#000000"

# The accents of the site's pages (css/tokens.css), light and dark.
ACCENTS = {LIGHT: "#1f4b99", DARK: "#8fb4ff"}


def luminance(colour: str) -> float:
    """Return the relative luminance (0–1) of ``#rrggbb`` (WCAG 2.2)."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1–21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def ink_on(accent: str) -> str:
    """Return white or black, whichever has more contrast on ``accent``: at least 4.5 on any."""
    return max((_WHITE, _BLACK), key=lambda ink: contrast(ink, accent))


def readable(accent: str, background: str, min_contrast: float = 4.5) -> str:
    """Return ``accent``, moved towards black or white until its contrast with ``background`` suffices."""
    towards = 0 if luminance(background) > 0.18 else 255
    parts = [int(accent[i : i + 2], 16) for i in (1, 3, 5)]
    for step in range(21):
        mixed = "#" + "".join(f"{round(part + (towards - part) * step / 20):02x}" for part in parts)
        if contrast(mixed, background) >= min_contrast:
            break
    return mixed
