// hCaptcha is loaded only for those who choose it: before that, its maker learns of no one.
//
//   <details data-script="https://…">

const choice = document.querySelector("details[data-script]");

choice?.addEventListener(
  "toggle",
  () => {
    const script = document.createElement("script");
    script.src = choice.dataset.script;
    document.head.append(script);
  },
  { once: true },
);
