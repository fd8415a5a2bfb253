// Spares the visitor the step with the drawn code: solves a proof of work while they type. Improvement only: where
// anything fails, the form is sent as it would have been without us, and the server asks for one more step.
//
//   <form data-letter="SLUG" data-wait="One moment …">            begins when the visitor enters the form
//   <form data-letter="SLUG" data-wait="One moment …" data-eager>  begins at once
//   <form … data-keep>  what is sent stays in this tab, so that the next page can show the address and send it again

import { busy, buttonOf, idle, isBusy, sends } from "./busy.js";

// With our own digest (?v=), so that a new version of us never meets an old one of it.
const { solve } = await import(`./pow.js${new URL(import.meta.url).search}`);

const FRESH = 18 * 60e3; // ms; the server takes an answer for 20 minutes
const FETCH = 10e3; // ms to wait for a challenge
const PATIENCE = 60e3; // ms to wait for an answer once the visitor has sent the form

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Return a solved challenge of the letter, or "" if there is nothing to solve. */
export async function answer(letter) {
  const address = `/captcha/challenge?letter=${encodeURIComponent(letter)}`;
  const stop = new AbortController();
  setTimeout(() => stop.abort(), FETCH);
  const response = await fetch(address, { signal: stop.signal, cache: "no-store" });
  const challenge = await response.json();
  // Not a proof of work: hCaptcha, which has its place on the next page, or nothing to solve.
  return challenge.parameters ? solve(challenge) : "";
}

// In the tab only: see docs/decisions/inbox-address.md.
function keep(form, submitter) {
  const fields = [...new FormData(form)].filter(
    ([name]) => !["altcha", "again", "code", "drawn", "checked"].includes(name),
  );
  if (submitter?.name) fields.push([submitter.name, submitter.value]);
  try {
    sessionStorage.setItem("sent", JSON.stringify({ letter: form.dataset.letter, at: Date.now(), fields }));
  } catch {
    // No storage here: the next page does without.
  }
}

export function enhance(form) {
  let work; // the promise of the answer under way or found
  let begun; // when
  let waiting = false; // the visitor has sent the form and waits
  let letGo = false; // send it this time, whatever there is

  const field = form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name: "altcha" }));
  const status = form.querySelector("[role=status]") || document.createElement("p");
  status.setAttribute("role", "status");
  if (!status.parentNode) buttonOf(form).after(status);

  const begin = () => {
    if (work && Date.now() - begun < FRESH) return;
    begun = Date.now();
    field.value = "";
    const mine = answer(form.dataset.letter).catch(() => "");
    work = mine;
    mine.then((text) => {
      if (work === mine) field.value = text; // else a fresher one has been begun
      // Whoever needs no drawn code need not be stopped at its empty field.
      if (text && form.elements.code) form.elements.code.required = false;
    });
  };

  const reset = () => {
    work = undefined;
    field.value = status.textContent = "";
    waiting = letGo = false;
    idle();
  };

  // The browser has found all fields valid, else it would not have come to this.
  const submit = async (event) => {
    if (!sends(event)) return;
    if (isBusy(form) && !letGo) return event.preventDefault(); // an impatient second press
    const typed = form.elements.code && form.elements.code.value;
    if (!letGo) begin();
    if (letGo || field.value || typed) {
      letGo = false;
      if ("keep" in form.dataset) keep(form, event.submitter);
      busy(form, event.submitter);
      return;
    }
    event.preventDefault();
    if (waiting) return;
    waiting = true;
    busy(form, event.submitter);
    status.textContent = form.dataset.wait || "";
    await Promise.race([work, later(PATIENCE)]);
    await later(0); // a form cannot be sent again while the event of its sending is under way
    letGo = true;
    waiting = false;
    if (form.requestSubmit) form.requestSubmit(event.submitter);
    else form.submit();
  };

  form.addEventListener("focusin", begin);
  form.addEventListener("submit", submit);
  // Back from the next page: what was solved has been used, and nobody waits any more.
  addEventListener("pageshow", (event) => event.persisted && reset());
  // A field left with something impossible in it says so to assistive technology (and to the style) at once.
  form.addEventListener("change", ({ target }) => {
    if (target.value && !target.validity.valid) target.setAttribute("aria-invalid", "true");
    else target.removeAttribute("aria-invalid");
  });
  // What is typed stands in the preview of who sees what; without us the preview says "Your name".
  const previews = form.querySelectorAll("[data-typed]");
  const preview = () => {
    for (const place of previews) {
      const names = place.dataset.typed.split(" ");
      const typed = names.map((name) => form.elements[name].value.trim()).find(Boolean);
      place.textContent = typed || place.dataset.else || "";
    }
  };
  form.addEventListener("input", preview);
  addEventListener("pageshow", preview);
  preview(); // of what was typed before this arrived
  if ("eager" in form.dataset || form.contains(document.activeElement)) begin();
}

document.querySelectorAll("form[data-letter]").forEach(enhance);
