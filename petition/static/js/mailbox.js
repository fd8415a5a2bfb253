// Shows what came in without a press of the reload button. The page works without it.
const shown = document.querySelector("[data-newest]").dataset.newest;

setInterval(async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch("/newest");
    if (answer.ok && (await answer.text()) !== shown) location.reload();
  } catch {
    // The demo has been stopped.
  }
}, 1500);
