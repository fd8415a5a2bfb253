// Solves the proof of work that /captcha/challenge hands out (ALTCHA's format, PBKDF2).
//
// The server hid a number: a key derived from it begins with keyPrefix. Nothing but counting up finds it. The same
// file is the module a page imports and the worker that module starts, so the page itself stays free to type in.

const AT_ONCE = 4; // derivations under way together; browsers spread them over the cores they have

const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function derive({ algorithm, nonce, salt, cost, keyLength }, number) {
  const password = new Uint8Array([...bytes(nonce), 0, 0, 0, 0]);
  new DataView(password.buffer).setUint32(password.length - 4, number); // big-endian
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  const kind = { name: "PBKDF2", hash: algorithm.slice("PBKDF2/".length), salt: bytes(salt), iterations: cost };
  return hex(await crypto.subtle.deriveBits(kind, key, keyLength * 8));
}

// Each derivation gives the thread back while it runs, so this may run in a page too.
async function search(parameters) {
  for (let first = 0; ; first += AT_ONCE) {
    const numbers = Array.from({ length: AT_ONCE }, (_, place) => first + place);
    const keys = await Promise.all(numbers.map((number) => derive(parameters, number)));
    const found = keys.findIndex((key) => key.startsWith(parameters.keyPrefix));
    if (found >= 0) return { counter: numbers[found], derivedKey: keys[found] };
  }
}

async function searchAside(parameters) {
  const worker = new Worker(import.meta.url, { type: "module" });
  const found = new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data ? resolve : reject)(data);
    worker.onerror = reject; // no module workers here, or not allowed
  });
  worker.postMessage(parameters);
  return found.finally(() => worker.terminate());
}

/**
 * Solve a challenge.
 * @param {{parameters: object, signature: string}} challenge as the server sent it
 * @returns {Promise<string>} the value of the form field `altcha`; rejected where there is no crypto.subtle
 */
export async function solve(challenge) {
  const { parameters } = challenge;
  const solution = await searchAside(parameters).catch(() => search(parameters));
  return btoa(JSON.stringify({ challenge, solution }));
}

if (typeof document === "undefined") {
  onmessage = ({ data }) =>
    search(data)
      .catch(() => null)
      .then((solution) => postMessage(solution));
}
