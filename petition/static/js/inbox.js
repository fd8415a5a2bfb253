// Shows the address just typed, large, and lets it be changed or written to again. The page does without: it then asks.
// Where the address comes from, and when it goes: docs/decisions/inbox-address.md.

import { busy, idle, isBusy } from "./busy.js";
import { answer } from "./sign.js";

const HOUR = 3600e3; // ms for which what was sent is of use here
const place = document.querySelector("[data-inbox]");
const letter = place.dataset.inbox;
const change = document.getElementById("change");
const again = document.getElementById("again");

function kept() {
  try {
    const sent = JSON.parse(sessionStorage.getItem("sent"));
    if (sent && sent.letter === letter && Date.now() - sent.at < HOUR) return sent.fields;
    sessionStorage.removeItem("sent");
  } catch {
    // Nothing there, or no storage.
  }
  return [];
}

const fields = kept();
const last = (name) => fields.findLast(([each]) => each === name)?.[1];
const address = place.querySelector("[data-address]").textContent || last("email_is") || last("email");

// One at a time, and not before a mail has had the time to come.
function countDown(seconds) {
  const button = again.querySelector("button");
  const words = again.dataset.words || (again.dataset.words = button.textContent);
  button.disabled = seconds > 0;
  button.textContent = seconds > 0 ? again.dataset.in.replace("#", seconds) : words;
  if (seconds > 0) setTimeout(countDown, 1000, seconds - 1);
}

async function sendAgain(event) {
  event.preventDefault();
  if (isBusy(again)) return;
  busy(again, event.submitter);
  const altcha = await answer(letter).catch(() => "");
  const body = new URLSearchParams({ email: address, altcha });
  const response = await fetch(again.action, { method: "POST", body, redirect: "manual" }).catch(() => undefined);
  // Anything but the redirect is a page to read: one more step, or a limit.
  if (response?.type !== "opaqueredirect") return again.submit();
  idle();
  again.querySelector("button").textContent = again.dataset.sent;
  again.querySelector("button").disabled = true;
  setTimeout(countDown, 2000, Number(again.dataset.seconds));
}

if (address) {
  place.querySelector("[data-address]").textContent = address;
  document.querySelectorAll("[data-known]").forEach((each) => (each.hidden = false));
  place.querySelectorAll("[data-unknown]").forEach((each) => (each.hidden = true));
  const email = document.querySelector("#code [name=email]");
  if (!email.hasAttribute("aria-invalid") && email.value === email.defaultValue) {
    email.value = address;
    place.querySelector("[data-email]").className = "vh";
  }
  again.elements.email.value = address;
  again.hidden = false;
  again.addEventListener("submit", sendAgain);
  countDown(Number(again.dataset.seconds));
}
if (fields.length) {
  for (const [name, value] of fields) {
    if (name === "email" || name === "email_is") continue;
    change.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  const typed = document.getElementById("f-new");
  const email = change.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name: "email" }));
  typed.value = email.value = address;
  typed.addEventListener("input", () => (email.value = typed.value));
  place.querySelector("[data-changing]").hidden = false;
  place.querySelector("[data-back]").hidden = true;
}
