// "Show the count": a button that copies, and a preview that follows the choices. Without it the form is sent as usual.
const form = document.querySelector("#options");
let last = 0,
  timer;

function offer() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener(
      "click",
      async () => {
        await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
        const before = button.textContent;
        button.textContent = button.dataset.done;
        setTimeout(() => (button.textContent = before), 2000);
      },
      { once: false },
    );
  }
}

async function follow() {
  const mine = ++last;
  const address = `${location.pathname}?${new URLSearchParams(new FormData(form))}`;
  const answer = await fetch(address).catch(() => null);
  if (!answer?.ok || mine !== last) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelector("#steps").replaceWith(document.adoptNode(page.querySelector("#steps")));
  history.replaceState(null, "", address);
  offer();
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(follow, 300);
}

form.addEventListener("input", later);
offer();
// What was chosen before this arrived.
const isChosen = (each) =>
  each.type === "radio" || each.type === "checkbox"
    ? each.checked !== each.defaultChecked
    : each.tagName === "SELECT"
      ? [...each.options].some((option) => option.selected !== option.defaultSelected)
      : each.value !== each.defaultValue;
if ([...form.elements].some((each) => each.tagName !== "BUTTON" && isChosen(each))) later();
