/* Ready sentences go into the message at the press of a button. Without scripts they can be copied. */

for (const button of document.querySelectorAll("[data-fill]")) {
  const field = document.getElementById(button.dataset.fill);
  button.hidden = false;
  button.addEventListener("click", () => {
    const sentence = button.closest("li").querySelector("span").textContent;
    field.value = field.value.trim() ? `${field.value.trimEnd()}\n${sentence}` : sentence;
    field.focus();
  });
}
