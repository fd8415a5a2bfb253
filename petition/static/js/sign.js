// Spares the visitor the step with the drawn code: solves a proof of work while they type. Improvement only: where
// anything fails, the form is sent as it would have been without us, and the server asks for one more step.
//
//   <form data-letter="SLUG" data-wait="One moment …">            begins when the visitor enters the form
//   <form data-letter="SLUG" data-wait="One moment …" data-eager>  begins at once

// With our own digest (?v=), so that a new version of us never meets an old one of it.
const { solve } = await import(`./pow.js${new URL(import.meta.url).search}`);

const FRESH = 18 * 60e3; // ms; the server takes an answer for 20 minutes
const FETCH = 10e3; // ms to wait for a challenge
const PATIENCE = 60e3; // ms to wait for an answer once the visitor has sent the form

const RESEND = 10e3; // ms until the button works again once the form has gone off: one answer is good for one signature

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function answer(form) {
  const address = `/captcha/challenge?letter=${encodeURIComponent(form.dataset.letter)}`;
  const stop = new AbortController();
  setTimeout(() => stop.abort(), FETCH);
  const response = await fetch(address, { signal: stop.signal, cache: "no-store" });
  const challenge = await response.json();
  // Not a proof of work: hCaptcha, which has its place on the next page, or nothing to solve.
  return challenge.parameters ? solve(challenge) : "";
}

function enhance(form) {
  let work; // the promise of the answer under way or found
  let begun; // when
  let waiting = false; // the visitor has sent the form and waits
  let letGo = false; // send it this time, whatever there is
  let sent = 0; // when it last went off

  const field = form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name: "altcha" }));
  const status = form.querySelector("[role=status]") || document.createElement("p");
  status.setAttribute("role", "status");
  if (!status.parentNode) form.querySelector("button:not([type=button])").after(status);

  const begin = () => {
    if (work && Date.now() - begun < FRESH) return;
    begun = Date.now();
    field.value = "";
    const mine = answer(form).catch(() => "");
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
    sent = 0;
  };

  // The browser has found all fields valid, else it would not have come to this.
  const submit = async (event) => {
    if (Date.now() - sent < RESEND) return event.preventDefault(); // an impatient second click
    const typed = form.elements.code && form.elements.code.value;
    if (!letGo) begin();
    if (letGo || field.value || typed) {
      sent = Date.now();
      return;
    }
    event.preventDefault();
    if (waiting) return;
    waiting = true;
    status.textContent = form.dataset.wait || "";
    await Promise.race([work, later(PATIENCE)]);
    await later(0); // a form cannot be sent again while the event of its sending is under way
    letGo = true;
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
  if ("eager" in form.dataset) begin();
}

document.querySelectorAll("form[data-letter]").forEach(enhance);
