// Saves the draft while it is typed. The server alone decides what is joined and what is a conflict; this sends the
// form, shows the answer, and never replaces what somebody has typed since.

const form = document.querySelector("[data-text]");
const status = form.querySelector("[data-status]");
const frame = form.querySelector("iframe");
const files = [...form.querySelectorAll("[type=file]")];
let dirty = false,
  saving = false,
  leaving = false;
let timer;

const one = (name) => form.querySelector(`[name="${CSS.escape(name)}"][data-field]`);
const place = (kind, name) => form.querySelector(`[data-${kind}="${CSS.escape(name)}"]`);
const valueOf = (control) => (control.type === "checkbox" ? (control.checked ? control.value : "") : control.value);
const rowsOf = (list) => JSON.stringify([...list.querySelectorAll("input")].map((each) => each.value));

function say(text, bad = false) {
  status.textContent = text;
  status.classList.toggle("bad", bad);
}

function later(milliseconds = 1000) {
  dirty = true;
  say(form.dataset.unsaved);
  clearTimeout(timer);
  timer = setTimeout(save, milliseconds);
}

// What stood on the page when it was sent: only that may be replaced by what comes back.
function picture() {
  const fields = new Map([...form.querySelectorAll("[data-field][name]")].map((each) => [each.name, valueOf(each)]));
  const lists = new Map([...form.querySelectorAll("[data-rows]")].map((each) => [each.dataset.rows, rowsOf(each)]));
  return { fields, lists };
}

async function save() {
  clearTimeout(timer);
  if (saving) return later();
  if (form.querySelector(":invalid")?.validity.badInput) return; // a date that is half typed
  saving = true;
  dirty = false;
  say(form.dataset.saving);
  const sent = picture();
  const data = new FormData(form);
  for (const each of files) data.delete(each.name);
  for (const name of [...data.keys()]) if (name.startsWith("drop.")) data.delete(name);
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams(data),
    });
    if (answer.status === 401) {
      dirty = true;
      say(form.dataset.gone, true);
    } else if (answer.ok) show(await answer.json(), sent);
    else throw new Error(String(answer.status));
  } catch {
    dirty = true;
    say(form.dataset.failed, true);
    timer = setTimeout(save, 5000);
  } finally {
    saving = false;
  }
}

function show(told, sent) {
  const stale = new Set();
  for (const [name, value] of Object.entries(told.fresh)) {
    const control = one(name);
    if (valueOf(control) !== sent.fields.get(name)) stale.add(name);
    else if (control.type === "checkbox") control.checked = value === control.value;
    else control.value = value;
  }
  for (const [name, html] of Object.entries(told.rows)) {
    const list = place("rows", name);
    if (rowsOf(list) !== sent.lists.get(name)) stale.add(name);
    else list.innerHTML = html;
  }
  for (const [name, digest] of Object.entries(told.seen))
    if (!stale.has(name)) form.querySelector(`[name="seen.${CSS.escape(name)}"]`).value = digest;
  for (const each of form.querySelectorAll("[data-problem]")) {
    const name = each.dataset.problem;
    if (!one(name) && !place("rows", name)) continue; // of pictures, which are not sent here
    each.textContent = told.problems[name] ?? "";
    each.hidden = !told.problems[name];
    const wrong = told.problems[name] || told.conflicts[name];
    if (wrong) one(name)?.setAttribute("aria-invalid", "true");
    else one(name)?.removeAttribute("aria-invalid");
  }
  for (const each of form.querySelectorAll("[data-conflicts]")) {
    const html = told.conflicts[each.dataset.conflicts] ?? "";
    if (each.dataset.html !== html) each.innerHTML = html;
    each.dataset.html = html;
  }
  blank();
  const open = Object.keys({ ...told.problems, ...told.conflicts }).length > 0;
  if (!dirty && open) say(form.dataset.open, true);
  else if (!dirty) {
    status.innerHTML = told.said;
    status.classList.remove("bad");
  }
  if (told.wrote) reload();
}

// The page in the frame is ours, so it can be told where the reader was.
function reload() {
  const at = frame.contentWindow.scrollY;
  frame.addEventListener("load", () => frame.contentWindow.scrollTo(0, at), { once: true });
  frame.contentWindow.location.reload();
}

// Rows: one empty row at the end, and buttons that move what is there.
function number(list) {
  const name = list.dataset.rows;
  [...list.children].forEach((row, index) => {
    for (const input of row.querySelectorAll("input")) {
      const last = input.name.split(".").pop();
      row.querySelector(`label[for="${CSS.escape(input.id)}"]`).htmlFor = `f-${name}-${index}-${last}`;
      input.id = `f-${name}-${index}-${last}`;
      input.name = `${name}.${index}.${last}`;
    }
    for (const button of row.querySelectorAll("button")) {
      button.value = `${button.value.split(":")[0]}:${name}:${index}`;
      button.ariaLabel = button.ariaLabel.replace(/\d+$/, index + 1);
    }
  });
}

const isEmpty = (row) => [...row.querySelectorAll("input")].every((each) => !each.value);

function blank() {
  for (const list of form.querySelectorAll("[data-rows]")) {
    const last = list.lastElementChild;
    if (last && isEmpty(last)) continue;
    const row = (last ?? document.createElement("li")).cloneNode(true);
    for (const input of row.querySelectorAll("input")) input.value = "";
    list.append(row);
    number(list);
  }
}

function act(button) {
  const [what, name] = button.value.split(":");
  const list = place("rows", name);
  const row = button.closest("[data-row]");
  if (what === "add") {
    blank();
    list.lastElementChild.querySelector("input").focus();
    return;
  }
  const other = what === "up" ? row.previousElementSibling : row.nextElementSibling;
  if (what === "up" && other) other.before(row);
  if (what === "down" && other) other.after(row);
  if (what === "drop") {
    (other ?? row.previousElementSibling)?.querySelector("input").focus();
    row.remove();
  } else button.focus();
  blank();
  number(list);
  later(0);
}

form.addEventListener("input", (event) => {
  if (event.target.type === "file" || event.target.name?.startsWith("drop.")) return;
  later(event.target.type === "radio" ? 0 : 1000);
});
form.addEventListener("change", (event) => {
  if (event.target.type !== "file" && !event.target.name.startsWith("drop.")) return;
  leaving = true; // pictures go the way without scripts, with everything that is typed
  form.submit();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const button = event.submitter;
  if (button && button.value.includes(":")) act(button);
  else save();
});
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "s") return;
  event.preventDefault();
  save();
});
for (const link of form.querySelectorAll("[data-preview]"))
  link.addEventListener("click", () => {
    for (const each of form.querySelectorAll("[data-preview]")) each.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
  });
// What was typed before this arrived. On the way back the browser may fill in an older text: that is not saved unasked.
const [entry] = performance.getEntriesByType("navigation");
const isTyped = (each) =>
  ["checkbox", "radio"].includes(each.type) ? each.checked !== each.defaultChecked : each.value !== each.defaultValue;
const typed = "input:not([type=hidden], [type=file]), textarea";
if (entry.type === "navigate" && [...form.querySelectorAll(typed)].some(isTyped)) later();
window.addEventListener("focus", () => dirty || saving || save()); // what colleagues have written meanwhile
window.addEventListener("beforeunload", (event) => dirty && !leaving && event.preventDefault());
