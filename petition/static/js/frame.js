// Keeps the count in an embedded frame up to date. It may run without an origin of its own, so it keeps nothing.
(() => {
  const { lang, dataset } = document.documentElement;
  const address = `/api/v1/letters/${dataset.letter}/count`;
  const number = new Intl.NumberFormat(lang);
  const forms = new Intl.PluralRules(lang);
  const main = document.querySelector("main");
  let timer,
    failures = 0;

  // A goal that has been reached makes room for the next one.
  function raise(total) {
    const bar = document.querySelector("[data-goals]");
    const goal = bar?.dataset.goals.split(" ").find((each) => each > total);
    if (!goal || total < bar.max) return;
    bar.max = goal;
    document.querySelector("[data-goal]").textContent = number.format(goal);
  }

  function show(counts) {
    raise(counts.total);
    for (const each of document.querySelectorAll("[data-count]")) {
      const count = counts[each.dataset.count];
      if (!Number.isSafeInteger(count)) continue;
      if ("value" in each) each.value = count;
      else if (each.textContent !== number.format(count)) each.textContent = number.format(count);
    }
    const place = document.querySelector("[data-words]");
    const words = JSON.parse(place.dataset.words);
    place.textContent = words[forms.select(counts.total)] ?? words.other;
  }

  async function ask() {
    try {
      const answer = await fetch(address, { credentials: "omit" });
      if (!answer.ok) throw answer;
      show(await answer.json());
      failures = 0;
    } catch {
      failures = Math.min(failures + 1, 4); // the number that stands there stays
    }
    wait();
  }

  // Many frames on many pages: none of them holds a connection open, and they do not all ask at the same time.
  function wait() {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(ask, (15000 + 15000 * Math.random()) * 2 ** failures);
  }
  document.addEventListener("visibilitychange", wait);
  wait();

  // How high it is with its border, for the page around it, if that has said where it is. Nobody else hears it.
  function listener() {
    const asked = new URLSearchParams(location.search).get("origin") ?? "";
    try {
      const { origin, protocol, hostname } = new URL(asked);
      const local = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
      return origin === asked && (protocol === "https:" || (protocol === "http:" && local)) ? origin : "";
    } catch {
      return "";
    }
  }
  const to = listener();
  if (to && parent !== window) {
    const tell = () => parent.postMessage({ petition: dataset.letter, height: main.offsetHeight + 2 }, to);
    new ResizeObserver(tell).observe(main);
  }
})();
