// Shows, while a time is typed, what the clock says then in other places; the server writes the same below.

const lang = document.documentElement.lang;
const day = (date, timeZone) => date.toLocaleDateString(lang, { timeZone, day: "numeric", month: "short" });

// What the clock of a zone shows, in milliseconds as if that were UTC.
function clockOf(date, timeZone) {
  const numbers = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" };
  const format = new Intl.DateTimeFormat("en", { timeZone, hourCycle: "h23", ...numbers });
  const part = Object.fromEntries(format.formatToParts(date).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute);
}

// The moment at which a zone's clock shows what was typed. The second look is for nights on which clocks change.
function moment(typed, timeZone) {
  const wanted = Date.parse(`${typed}Z`);
  let at = wanted;
  for (let look = 0; look < 2; look++) at += wanted - clockOf(new Date(at), timeZone);
  return new Date(at);
}

for (const hint of document.querySelectorAll("[data-clocks]")) {
  const field = document.getElementById(hint.dataset.clocks);
  const own = hint.dataset.zone;
  const zones = hint.dataset.zones.split(";").map((zone) => zone.split("="));
  const write = () => {
    const date = field.value ? moment(field.value, own) : new Date(NaN);
    hint.textContent = Number.isNaN(date.getTime())
      ? ""
      : zones
          .map(([timeZone, city]) => {
            const time = date.toLocaleTimeString(lang, { timeZone, timeStyle: "short" });
            const other = day(date, timeZone) === day(date, own) ? "" : `${day(date, timeZone)}, `;
            return `${city}\u00a0${other}${time}`;
          })
          .join(" · ");
  };
  field.addEventListener("input", write);
  if (field.value !== field.defaultValue) write(); // typed before this arrived
}
