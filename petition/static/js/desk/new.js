// Suggests an address while the title is typed, and says at once when one cannot be had.

const form = document.querySelector("[data-new-letter]");
const { slug } = form.elements;
// In the order in which the server would take one for the address, not in that of the page.
const order = form.dataset.newLetter.split(" ");
const titles = [...form.querySelectorAll("[name^='title.']")].sort(
  (a, b) => order.indexOf(a.lang) - order.indexOf(b.lang),
);
const problem = form.querySelector("[data-problem]");
let own = slug.value !== "";
let asked = 0;
let timer;

async function ask(name, value) {
  const number = ++asked;
  const answer = await fetch(`/organizer/letters/slug?${new URLSearchParams({ [name]: value })}`);
  if (!answer.ok || number !== asked) return;
  const found = await answer.json();
  if (name === "title") slug.value = found.slug;
  problem.textContent = slug.value ? found.problem : "";
  if (problem.textContent) slug.setAttribute("aria-invalid", "true");
  else slug.removeAttribute("aria-invalid");
}

function later(name, value) {
  clearTimeout(timer);
  timer = setTimeout(() => ask(name, value).catch(() => {}), 250);
}

function suggest() {
  const first = titles.find((each) => each.value.trim());
  if (!own) later("title", first ? first.value : "");
}

for (const title of titles) title.addEventListener("input", suggest);
slug.addEventListener("input", () => {
  own = slug.value !== "";
  later("slug", slug.value);
});
// What was typed before this arrived.
if (slug.value !== slug.defaultValue) later("slug", slug.value);
else if (titles.some(({ value }) => value.trim())) suggest();
