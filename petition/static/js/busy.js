// A button says that its form is on its way: the same button, in the same place and size, and deaf to impatient presses.
//
//   <form data-sending="Sending…" data-sent="Sent">

const DEAF = 30e3; // ms until the button works again: an answer that has not come by then may never come

/** The button that sends a form, wherever it stands. */
export const buttonOf = (form) => [...form.elements].find((each) => each.type === "submit" && !each.hidden);

let release; // the busy button's way back

/** Whether a press of this button sends the form, and does not only fetch it in another language. */
export const sends = (event) => !event.submitter?.hasAttribute("formaction");

/**
 * Show that the form is on its way.
 * @param {HTMLFormElement} form
 * @param {?HTMLElement} submitter the button that was pressed, if one was
 */
export function busy(form, submitter) {
  const button = submitter || buttonOf(form);
  if (!button || button.ariaBusy || !form.dataset.sending) return;
  release?.();
  const words = [...button.childNodes];
  button.style.minWidth = `${button.offsetWidth}px`;
  button.style.minHeight = `${button.offsetHeight}px`;
  button.ariaBusy = "true";
  button.textContent = form.dataset.sending;
  const timer = setTimeout(() => release?.(), DEAF);
  release = () => {
    clearTimeout(timer);
    button.replaceChildren(...words);
    button.removeAttribute("style");
    button.ariaBusy = null;
    release = undefined;
  };
  addEventListener("pagehide", () => button.ariaBusy && (button.textContent = form.dataset.sent || words), {
    once: true,
  });
}

export const isBusy = (form) => [...form.elements].some((each) => each.ariaBusy);

/** Make the busy button what it was. */
export const idle = () => release?.();

// Back from the next page.
addEventListener("pageshow", (event) => event.persisted && idle());

// A form that no other module looks after (sign.js: data-letter, inbox.js: data-seconds). The first press goes off, further ones are ignored.
document.querySelectorAll("form[data-sending]:not([data-letter], [data-seconds])").forEach((form) =>
  form.addEventListener("submit", (event) => {
    if (isBusy(form)) event.preventDefault();
    else if (sends(event)) busy(form, event.submitter);
  }),
);
