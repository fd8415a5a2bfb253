// Copies the letter's link, and opens the share sheet where the device has one. Without us the link can be selected.
for (const box of document.querySelectorAll(".share")) {
  const { title, url } = box.dataset;
  const copy = box.querySelector("[data-copy]");
  const share = box.querySelector("[data-share]");
  const label = copy.textContent;
  const text = box.querySelector("textarea");

  copy.hidden = !navigator.clipboard; // absent where the connection is not secure
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(url);
    } catch {
      return box.querySelector("input").select();
    }
    copy.textContent = `✓ ${copy.dataset.done}`;
    copy.classList.add("done");
    copy.addEventListener("blur", () => {
      copy.textContent = label;
      copy.classList.remove("done");
    });
  });

  share.hidden = !navigator.share;
  share.addEventListener("click", () => navigator.share({ title, url }).catch(() => {})); // closed without choosing

  for (const field of [text, box.querySelector("input")]) field?.addEventListener("focus", () => field.select());
}
