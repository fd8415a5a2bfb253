"""A page with large letters, zoomed in, in the system's colours, and on paper: what of it is lost.

WCAG 2.2: 1.4.4 (text of 200 %), 1.4.10 (320 CSS pixels wide, which is 1280 at 400 %).
"""

from playwright.async_api import Page

from tests.browser.visitor import HEIGHT, PHONE

NARROW = 320, 256  # a window of 1280 × 1024 at 400 %
LETTERS = (1.5, 2)  # Android's and the browsers' text sizes

ENLARGE = """
factor => {
  const root = document.documentElement;
  root.style.fontSize = "";
  if (factor !== 1) root.style.fontSize = `${parseFloat(getComputedStyle(root).fontSize) * factor}px`;
}
"""
SIDEWAYS = """
() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return "";
  const wide = [...document.querySelectorAll("body *")].filter(one =>
    one.checkVisibility() && one.getBoundingClientRect().right > width + 1);
  const last = wide.at(-1) || document.body;
  return `${document.documentElement.scrollWidth} px of ${width}: ${last.outerHTML.slice(0, 120)}`;
}
"""
# What can be pressed or typed into must have an edge or a line of its own once the system has taken the colours away.
EDGELESS = """
() => [...document.querySelectorAll("button, select, textarea, input")].filter(one => !one.disabled)
  .filter(one => !["hidden", "radio", "checkbox", "file"].includes(one.type))
  .filter(one => one.checkVisibility({visibilityProperty: true, opacityProperty: true}))
  .filter(one => {
    const style = getComputedStyle(one);
    const edge = style.borderBottomStyle !== "none" && parseFloat(style.borderBottomWidth) > 0;
    const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    return !edge && !outline && !style.textDecorationLine.includes("underline");
  })
  .map(one => one.outerHTML.slice(0, 120))
"""
# On paper nothing floats over the text, and dark pages print dark on white.
ON_PAPER = """
() => {
  const floating = [...document.querySelectorAll("body *")].filter(one =>
    ["fixed", "sticky"].includes(getComputedStyle(one).position) && one.checkVisibility() && one.offsetHeight > 0);
  const lost = floating.map(one => `floats on paper: ${one.outerHTML.slice(0, 120)}`);
  const [red, green, blue, opacity = 1] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
  if (opacity && red + green + blue < 3 * 200) lost.push(`dark paper: ${red}, ${green}, ${blue}`);
  const ink = getComputedStyle(document.body).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  if (ink.reduce((sum, one) => sum + one) > 3 * 100) lost.push(`pale ink: ${ink}`);
  return lost;
}
"""


async def hardships(page: Page) -> list[str]:
    """Return what is wrong with the page under any of these; the window has the phone's width afterwards."""
    found = []
    await page.set_viewport_size({"width": PHONE, "height": HEIGHT})
    for factor in LETTERS:
        await page.evaluate(ENLARGE, factor)
        if sideways := await page.evaluate(SIDEWAYS):
            found.append(f"letters of {factor:.0%}: {sideways}")
    await page.evaluate(ENLARGE, 1)
    await page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    if sideways := await page.evaluate(SIDEWAYS):
        found.append(f"zoomed to 400 %: {sideways}")
    await page.set_viewport_size({"width": PHONE, "height": HEIGHT})
    await page.emulate_media(forced_colors="active")
    found += [f"no edge in the system's colours: {one}" for one in await page.evaluate(EDGELESS)]
    await page.emulate_media(forced_colors="none", media="print", color_scheme="dark")
    found += await page.evaluate(ON_PAPER)
    await page.emulate_media(media="screen", color_scheme="light")
    return found
