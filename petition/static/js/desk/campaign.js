// How far a campaign is, without loading the page again: nothing jumps, and nobody loses their place on it.

const EVERY = 1500; // milliseconds

async function look() {
  const answer = await fetch(location.pathname, { cache: "no-store" });
  if (!answer.ok || answer.redirected) return location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = page.getElementById("facts");
  if (!now || !("moving" in now.dataset)) return location.reload(); // its buttons are others now
  document.getElementById("facts").replaceChildren(...now.childNodes);
  setTimeout(again, EVERY);
}

const again = () => look().catch(() => setTimeout(again, 4 * EVERY)); // away for a moment

setTimeout(again, EVERY);
