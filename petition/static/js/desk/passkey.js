// Makes or shows a passkey: asks the server for a challenge, the browser for its answer, and sends that as a form.

const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const toText = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

async function challenge(what) {
  const answer = await fetch("/organizer/second/challenge", {
    method: "POST",
    body: new URLSearchParams({ for: what }),
  });
  if (!answer.ok) throw new Error(String(answer.status));
  const options = await answer.json();
  options.challenge = toBytes(options.challenge);
  if (options.user) options.user.id = toBytes(options.user.id);
  for (const name of ["excludeCredentials", "allowCredentials"])
    for (const each of options[name] ?? []) each.id = toBytes(each.id);
  return options;
}

function written(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
    if (credential.response[name]) response[name] = toText(credential.response[name]);
  return JSON.stringify({
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    response,
    clientExtensionResults: {},
  });
}

async function ask(form) {
  const what = form.dataset.passkey;
  const publicKey = await challenge(what);
  const credential =
    what === "new" ? await navigator.credentials.create({ publicKey }) : await navigator.credentials.get({ publicKey });
  form.querySelector("[data-credential]").value = written(credential);
  form.submit();
}

const can = Boolean(window.PublicKeyCredential);
for (const hint of document.querySelectorAll("[data-without-passkeys]")) hint.hidden = can;
for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.hidden = !can;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const status = form.querySelector("[role=status]");
    status.textContent = "";
    const button = form.querySelector("button");
    button.disabled = true;
    ask(form).catch(() => {
      button.disabled = false;
      status.textContent = form.dataset.problem;
    });
  });
}
