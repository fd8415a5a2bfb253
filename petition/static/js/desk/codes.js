// Recovery codes can be copied and printed by one press.
const codes = [...document.querySelectorAll("#codes li")].map((item) => item.textContent.trim());
const bar = document.querySelector("[data-codes]");
const copy = bar.querySelector("[data-copy]");

copy.addEventListener("click", async () => {
  await navigator.clipboard.writeText(`${codes.join("\n")}\n`);
  copy.textContent = copy.dataset.done;
});
bar.querySelector("[data-print]").addEventListener("click", () => print());
copy.hidden = !navigator.clipboard; // only where the page is served securely
bar.hidden = false;
