// How far an import is, without loading the page anew each time; once it stands somewhere else, the page is.

const place = document.querySelector("[data-live]");

async function look() {
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.querySelector("[data-live]");
    if (!answer.ok || !now || now.dataset.live !== place.dataset.live) return location.replace(location.href);
    place.replaceChildren(...now.childNodes);
  } catch {
    // The line is gone for a moment: the next look may find it again.
  }
  setTimeout(look, 1000);
}

setTimeout(look, 700);
