// The queue by keyboard. Everything here presses buttons that are on the page anyway.

const form = document.querySelector("[data-queue]");
const rows = [...form.querySelectorAll("[data-row]")];
const dialog = document.getElementById("keys");
let place = -1;

const link = (row) => row.querySelector("th a");
const box = (row) => row.querySelector("input[type=checkbox]");

function go(to) {
  if (!rows.length) return;
  place = Math.max(0, Math.min(rows.length - 1, to));
  rows.forEach((row, index) => row.classList.toggle("chosen", index === place));
  link(rows[place]).focus();
}

function chosen() {
  if (!rows.some((row) => box(row).checked)) {
    if (place < 0 || box(rows[place]).disabled) return false;
    box(rows[place]).checked = true;
  }
  return true;
}

const press = (key) => form.requestSubmit(form.querySelector(`[data-key="${key}"]`));

const keys = {
  j: () => go(place + 1),
  k: () => go(place - 1),
  x: () => place >= 0 && box(rows[place]).click(),
  o: () => place >= 0 && link(rows[place]).click(),
  a: () => chosen() && press("a"),
  r: () => chosen() && form.elements.reason.focus(),
  u: () => document.querySelector("#undo button")?.click(),
  "?": () => dialog.showModal(),
};

// A Latin letter is what it says, wherever it lies. Where keys write other letters (о for j, ф for a), the key counts.
function named({ key, code, shiftKey }) {
  if (key === "?" || (code === "Slash" && shiftKey)) return "?";
  return /^[a-z]$/i.test(key) ? key.toLowerCase() : /^Key[A-Z]$/.test(code) ? code.slice(3).toLowerCase() : "";
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  const typing = event.target.matches("select, textarea, input:not([type=checkbox])");
  if (event.target === form.elements.reason && event.key === "Enter" && event.target.value) {
    event.preventDefault();
    press("r");
  } else if (!typing && keys[named(event)]) {
    event.preventDefault();
    if (!event.repeat || "jk".includes(named(event))) keys[named(event)](); // held down, it acts once
  }
});

// A click or a tab into a row makes it the one that keys act on.
rows.forEach((row, index) =>
  row.addEventListener("focusin", () => {
    if (index === place) return;
    place = index;
    rows.forEach((each, number) => each.classList.toggle("chosen", number === place));
  }),
);

const help = form.querySelector("[data-help]");
help.hidden = false;
help.addEventListener("click", () => dialog.showModal());
