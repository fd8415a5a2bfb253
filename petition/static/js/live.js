// Keeps the count up to date while somebody looks. The page says everything without it.
const place = document.querySelector("[data-live]");
const say = document.querySelector("[data-say]");
const address = `/api/v1/letters/${place.dataset.live}/`;
const lang = document.documentElement.lang;
const number = new Intl.NumberFormat(lang);
// As the page writes days: the English of the catalogue is British.
const day = new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, { dateStyle: "long", timeZone: "UTC" });
const still = matchMedia("(prefers-reduced-motion: reduce)");
let shown,
  spoken = Date.now(),
  unsaid,
  source,
  splitting,
  timer;

// A goal that has been reached makes room for the next one.
function raise(total) {
  const bar = document.querySelector("[data-goals]");
  const next = bar?.dataset.goals.split(" ").find((goal) => goal > total);
  const goal = total < bar?.max ? 0 : next;
  if (!goal) return;
  bar.max = goal;
  document.querySelector("[data-goal]").textContent = number.format(goal);
}

// Once a minute at most; what moves meanwhile is said, as it stands then, when the minute is over.
function speak(total) {
  clearTimeout(unsaid);
  const wait = spoken + 60000 - Date.now();
  if (wait > 0) {
    unsaid = setTimeout(speak, wait, total);
    return;
  }
  say.textContent = say.dataset.say.replace("#", number.format(total));
  spoken = Date.now();
}

// What was confirmed here is all that did not come from lists or paper; their lines are renewed if these have changed.
function split(total) {
  const rest = document.querySelector("[data-rest]");
  if (!rest) return;
  rest.textContent = number.format(total - rest.dataset.rest);
  splitting ??= setTimeout(
    () =>
      renew()
        .catch(() => {})
        .finally(() => (splitting = undefined)),
    2000 + 4000 * Math.random(),
  );
}

async function renew() {
  const lines = document.querySelector("[data-sources]");
  const { counts } = await (await fetch(address.slice(0, -1))).json();
  if (String(counts.imported) === lines.dataset.sources) return;
  const page = await (await fetch(location.href)).text();
  const newer = new DOMParser().parseFromString(page, "text/html").querySelector("[data-sources]");
  if (newer) lines.replaceWith(newer);
}

function show(counts) {
  const now = `${counts.people}-${counts.organizations}`; // either may move without the total
  if (typeof counts.total !== "number" || now === shown) return;
  raise(counts.total);
  split(counts.total);
  for (const each of document.querySelectorAll("[data-count]")) {
    const count = counts[each.dataset.count];
    if ("value" in each) each.value = count;
    else if (each.textContent !== number.format(count)) {
      each.textContent = number.format(count);
      if (!still.matches) each.animate([{ opacity: 0.3 }, { opacity: 1 }], 600);
    }
  }
  const time = document.querySelector("[data-counted]");
  time.dateTime = counts.counted_at;
  time.textContent = `${day.format(new Date(counts.counted_at))}, ${counts.counted_at.slice(11, 16)} UTC`;
  if (shown !== undefined) speak(counts.total);
  shown = now;
}

async function ask() {
  const answer = await fetch(`${address}count`);
  if (answer.ok) show(await answer.json());
}

// Where events do not come through (a proxy that holds them back, no place left), asking now and then does.
function poll() {
  const mine = setTimeout(
    async () => {
      await ask().catch(() => {});
      if (timer === mine) poll();
    },
    12000 + 6000 * Math.random(),
  );
  timer = mine;
}

function listen() {
  let heard = false;
  source = new EventSource(`${address}events`);
  source.addEventListener("count", (event) => {
    heard = true;
    clearTimeout(timer);
    timer = undefined;
    show(JSON.parse(event.data));
  });
  // The browser comes again by itself, unless the answer was no.
  source.onerror = () => {
    if (!timer && (source.readyState === 2 || !heard)) poll();
  };
}

function begin() {
  if (document.hidden || source) return;
  listen();
  poll();
}

function end() {
  source?.close();
  clearTimeout(timer);
  source = timer = undefined;
}

document.addEventListener("visibilitychange", () => (document.hidden ? end() : begin()));
addEventListener("pagehide", end); // else the page could not be kept for the way back
addEventListener("pageshow", begin);
begin();
