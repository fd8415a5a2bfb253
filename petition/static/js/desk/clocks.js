// Shows, while a time in UTC is typed, what the clock says then in other places; the server writes the same below.

const lang = document.documentElement.lang;
const day = (date, timeZone) => date.toLocaleDateString(lang, { timeZone, day: "numeric", month: "short" });

for (const hint of document.querySelectorAll("[data-clocks]")) {
  const field = document.getElementById(hint.dataset.clocks);
  const zones = hint.dataset.zones.split(";").map((zone) => zone.split("="));
  field.addEventListener("input", () => {
    const date = new Date(`${field.value}Z`);
    hint.textContent = Number.isNaN(date.getTime())
      ? ""
      : zones
          .map(([timeZone, city]) => {
            const time = date.toLocaleTimeString(lang, { timeZone, timeStyle: "short" });
            const other = day(date, timeZone) === day(date, "UTC") ? "" : `${day(date, timeZone)}, `;
            return `${city}\u00a0${other}${time}`;
          })
          .join(" · ");
  });
}
