// Keeps what is typed into the desk's forms in this tab until the server has answered it, so that going back, a lost
// session or a lost connection loses nothing. It stays in the tab's own storage and goes when the tab is closed.

const PREFIX = "unsent ";
const forms = document.body.dataset.unsent ? [...document.querySelectorAll("form[method=post]:not([data-text])")] : [];
const [entry] = performance.getEntriesByType("navigation");
const failed = document.querySelector("main[data-failed]") !== null;
const read = (key) => JSON.parse(sessionStorage.getItem(key));
const keys = () => Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
const FIELDS =
  "textarea[name]:not([readonly]), input[name]:is([type=text], :not([type])):not([autocomplete=one-time-code])";
const fieldsOf = (form) => [...form.querySelectorAll(FIELDS)];
// Two forms of a page may send to one address: the first field with a name of its own tells them apart.
const keyOf = (form) => `${PREFIX}${location.pathname} ${form.getAttribute("action")} ${fieldsOf(form)[0].name}`;

// A page that came by sending a form names the form's page as its referrer, and is the answer; one that says that
// something failed is none.
const isAnswer = entry.type === "navigate" && document.referrer !== "" && !failed;
for (const key of keys()) {
  const stored = read(key);
  if (failed) sessionStorage.setItem(key, JSON.stringify({ ...stored, sent: false }));
  else if (stored.sent && isAnswer) sessionStorage.removeItem(key);
}
document.querySelector("form[action='/organizer/leave']")?.addEventListener("submit", () => {
  for (const key of keys()) sessionStorage.removeItem(key);
});

function note(form, fields) {
  const text = document.createElement("p");
  text.className = "hint";
  text.setAttribute("role", "status");
  text.textContent = document.body.dataset.unsent;
  fields[0].before(text);
}

function restore(form, key) {
  const stored = sessionStorage.getItem(key) && read(key);
  // What the server has shown since then wins: it is newer, or the very text that was refused.
  // So does what has been typed before this arrived.
  const fields = stored
    ? fieldsOf(form).filter(
        ({ name, value, defaultValue }) => stored.before[name] === defaultValue && value === defaultValue,
      )
    : [];
  const changed = fields.filter(({ name, value }) => name in stored.values && stored.values[name] !== value);
  for (const field of changed) field.value = stored.values[field.name];
  if (changed.length) note(form, changed);
}

function store(form, key, sent) {
  const fields = fieldsOf(form);
  const typed = fields.filter(({ value, defaultValue }) => value !== defaultValue);
  if (!typed.length) return sessionStorage.removeItem(key);
  const values = Object.fromEntries(typed.map(({ name, value }) => [name, value]));
  const before = Object.fromEntries(fields.map(({ name, defaultValue }) => [name, defaultValue]));
  try {
    sessionStorage.setItem(key, JSON.stringify({ values, before, sent }));
  } catch {
    // The storage is full or forbidden: the browser's own memory of forms is what is left.
  }
}

for (const form of forms) {
  if (!fieldsOf(form).length) continue;
  const key = keyOf(form);
  // On the way back the browser fills fields in by itself: that need not be what is yet to be sent.
  const isTyped = entry.type === "navigate" && fieldsOf(form).some(({ value, defaultValue }) => value !== defaultValue);
  restore(form, key);
  if (isTyped) store(form, key, false);
  form.addEventListener("input", () => store(form, key, false));
  form.addEventListener("submit", () => store(form, key, true));
}
