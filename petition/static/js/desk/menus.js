// A menu is a <details>, which opens and closes without this; here it also closes like a menu.

const menus = [...document.querySelectorAll("details.menu")];

for (const menu of menus)
  menu.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !menu.contains(relatedTarget)) menu.open = false;
  });

document.addEventListener("click", ({ target }) => {
  for (const menu of menus) if (!menu.contains(target)) menu.open = false;
});

document.addEventListener(
  "keydown",
  (event) => {
    const menu = menus.find(({ open }) => open);
    if (event.key !== "Escape" || !menu) return;
    event.stopPropagation();
    menu.open = false;
    menu.querySelector("summary").focus();
  },
  true,
);
