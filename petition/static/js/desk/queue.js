// The queue by keyboard. Everything here presses buttons that are on the page anyway, or asks at the row for a reason.

const form = document.querySelector("[data-queue]");
const rows = [...form.querySelectorAll("[data-row]")];
const dialog = document.getElementById("keys");
const why = form.querySelector("[data-why]");
const all = form.querySelector("[data-all]");
const allMatches = form.querySelector("[data-all-matches]");
const ticked = form.querySelector("[data-ticked]");
let place = -1;
let isBulk = false; // everything that matches is ticked, not only this page

const link = (row) => row.querySelector("th a");
const box = (row) => row.querySelector("input[type=checkbox]");
const boxes = () => rows.map(box).filter((each) => !each.disabled);
const asking = () => form.querySelector("tr.asking");

function mark(index) {
  place = index;
  rows.forEach((row, number) => row.classList.toggle("chosen", number === place));
}

function go(to) {
  if (!rows.length) return;
  leave();
  mark(Math.max(0, Math.min(rows.length - 1, to)));
  link(rows[place]).focus();
  rows[place].scrollIntoView({ block: "nearest" });
}

// What is ticked, or else this row.
function chosen() {
  if (isBulk || boxes().some((each) => each.checked)) return true;
  if (place < 0 || box(rows[place]).disabled) return false;
  box(rows[place]).checked = true;
  return true;
}

// The question why, under the row that it is about.
function ask(row) {
  leave();
  mark(rows.indexOf(row));
  const question = document.getElementById("why").content.firstElementChild.cloneNode(true);
  for (const button of question.querySelectorAll("[data-reason]")) {
    button.value = `remove:${box(row).name}:${box(row).value}:${button.dataset.reason}`;
    if (button.dataset.reason === "not_authorized" && row.dataset.kind !== "organization") button.remove();
  }
  [...question.querySelectorAll("[data-reason] kbd")].forEach((key, index) => (key.textContent = index + 1));
  question.querySelector("[data-leave]").addEventListener("click", () => leave(true));
  row.after(question);
  question.querySelector("button").focus();
  question.scrollIntoView({ block: "nearest" });
}

// Returns whether there was a question.
function leave(isFocused = false) {
  const question = asking();
  const row = question?.previousElementSibling;
  question?.remove();
  const isOpen = Boolean(question) || Boolean(why?.open);
  if (why) why.open = false;
  if (isFocused && row) link(row).focus();
  else if (isFocused && place >= 0) link(rows[place]).focus();
  return isOpen;
}

function remove() {
  if (isBulk || boxes().some((each) => each.checked)) {
    leave();
    why.open = true;
    why.querySelector("button").focus();
  } else if (place >= 0) rows[place].querySelector('button[value^="ask:"]')?.click();
}

const reasons = () => [
  ...(asking() ?? (why?.open ? why : document.createElement("p"))).querySelectorAll("[data-reason]"),
];

function find() {
  document.querySelector(".filtering").open = true;
  document.querySelector(".filters input[type=search]").select();
  document.querySelector(".filters input[type=search]").focus();
}

const keys = {
  j: () => go(place + 1),
  k: () => go(place - 1),
  x: () => place >= 0 && box(rows[place]).click(),
  o: () => place >= 0 && link(rows[place]).click(),
  a: () => chosen() && form.querySelector('[data-key="a"]').click(),
  r: remove,
  u: () => form.querySelector('[data-key="u"]')?.click(),
  f: find,
  "/": find,
  "?": () => dialog.showModal(),
};

// A Latin letter is what it says, wherever it lies. Where keys write other letters (о for j, ф for a), the key counts.
function named({ key, code, shiftKey }) {
  if (key === "?" || (code === "Slash" && shiftKey)) return "?";
  if (key === "/" || code === "Slash") return "/";
  if (/^[1-9]$/.test(key)) return key;
  return /^[a-z]$/i.test(key) ? key.toLowerCase() : /^Key[A-Z]$/.test(code) ? code.slice(3).toLowerCase() : "";
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  if (event.key === "Escape" && leave(true)) return event.preventDefault();
  if (event.target.matches("select, textarea, input:not([type=checkbox])")) return;
  const key = named(event);
  const reason = reasons()[Number(key) - 1];
  if (!reason && !keys[key]) return;
  event.preventDefault();
  if (event.repeat && !"jk".includes(key)) return; // held down, it acts once
  if (reason) reason.click();
  else keys[key]();
});

function count() {
  const number = boxes().filter((each) => each.checked).length;
  const isWhole = number > 0 && number === boxes().length;
  if (!isWhole) isBulk = false;
  ticked.hidden = number === 0;
  const words = document.getElementById("ticked").innerHTML.trim();
  ticked.textContent = isBulk ? allMatches.textContent : words.replace("0", number);
  if (all) [all.checked, all.indeterminate] = [isWhole, number > 0 && !isWhole];
  if (allMatches) allMatches.hidden = !isWhole || isBulk;
}

if (rows.length) {
  all.hidden = false;
  all.addEventListener("change", () => {
    boxes().forEach((each) => (each.checked = all.checked));
    count();
  });
  allMatches?.addEventListener("click", () => {
    isBulk = true;
    count();
  });
  form.addEventListener("change", count);
  const help = form.querySelector("[data-help]");
  help.hidden = false;
  help.addEventListener("click", () => dialog.showModal());
  count();
}

form.addEventListener("click", (event) => {
  const button = event.target.closest('button[value^="ask:"]');
  if (!button) return;
  event.preventDefault();
  ask(button.closest("tr"));
});

// With everything ticked, the same buttons lead to the bulk act, which shows how many there are before it starts.
form.addEventListener("submit", (event) => {
  const { name } = event.submitter ?? {};
  if (isBulk && (name === "act" || name === "why")) form.action = form.dataset.bulk;
});

// A click or a tab into a row makes it the one that keys act on.
rows.forEach((row, index) => row.addEventListener("focusin", () => index !== place && mark(index)));

// After an act the address names the row to go on with; where it is gone with the page's end, the last one.
if (location.hash.startsWith("#n") && !asking()) {
  const index = rows.findIndex((row) => `#${link(row).id}` === location.hash);
  go(index < 0 ? rows.length - 1 : index);
} else asking()?.querySelector("button").focus();
