// Keeps the count up to date while somebody looks. The page says everything without it.
const place = document.querySelector("[data-live]");
const say = document.querySelector("[data-say]");
const number = new Intl.NumberFormat(document.documentElement.lang);
const still = matchMedia("(prefers-reduced-motion: reduce)");
let shown, spoken = Date.now();

// A goal that has been reached makes room for the next one.
function raise(total) {
  const bar = document.querySelector("[data-goals]");
  const next = bar?.dataset.goals.split(" ").find((goal) => goal > total);
  const goal = total < bar?.max ? 0 : next;
  if (!goal) return;
  bar.max = goal;
  document.querySelector("[data-goal]").textContent = number.format(goal);
}

async function refresh() {
  const answer = await fetch(`/api/v1/letters/${place.dataset.live}/count`);
  if (!answer.ok) return;
  const counts = await answer.json();
  if (counts.total === shown) return;
  raise(counts.total);
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
  time.textContent = counts.counted_at.slice(0, 16).replace("T", " ") + " UTC";
  if (shown !== undefined && Date.now() - spoken > 60000) {
    say.textContent = say.dataset.say.replace("#", number.format(counts.total));
    spoken = Date.now();
  }
  shown = counts.total;
}

function wait() {
  setTimeout(async () => {
    if (!document.hidden) await refresh().catch(() => {});
    wait();
  }, 12000 + 6000 * Math.random());
}
wait();
