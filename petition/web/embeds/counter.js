// <petition-counter>: the count of a letter on any page, documented in docs/embedding.md.
// It uses no style sheet, cookie or storage of the page, and never throws.
(() => {
  "use strict";
  const NAME = "petition-counter";
  const WORDS = {}; // by language; the server fills it in
  const ORIGINS = []; // of the letter's site, the usual one first; likewise
  if (!window.customElements || customElements.get(NAME)) return;

  const CSS = `
:host {
  display: inline-block;
  max-width: 100%;
  font:
    15px/1.35 system-ui,
    sans-serif;
  overflow-wrap: anywhere;
  --a: light-dark(#1f4b99, #8fb4ff);
  --o: light-dark(#fff, #000);
}
:host([hidden]) {
  display: none;
}
:host([theme]) {
  padding: 12px 16px;
  border-left: 4px solid var(--a);
  border-radius: 3px;
  background: light-dark(#fbfaf6, #15171a);
  color: light-dark(#1c1d20, #e7e5df);
}
:host([theme="light"]) {
  color-scheme: light;
}
:host([theme="dark"]) {
  color-scheme: dark;
}
:host([theme="auto"]) {
  color-scheme: light dark;
}
p {
  margin: 0;
}
b {
  font-variant-numeric: tabular-nums;
  font-size: 2.1em;
  line-height: 1.1;
}
a {
  color: inherit;
}
progress {
  appearance: none;
  display: block;
  width: 100%;
  height: 6px;
  margin: 0.6em 0;
  border: 0;
  border-radius: 3px;
  background: #8886;
}
progress::-webkit-progress-bar {
  background: none;
}
progress::-webkit-progress-value {
  background: var(--a);
  border-radius: 3px;
}
progress::-moz-progress-bar {
  background: var(--a);
  border-radius: 3px;
}
.button {
  display: inline-block;
  margin-top: 0.6em;
  padding: 0.6em 1.1em;
  border-radius: 3px;
  background: var(--a);
  color: var(--o);
  font-weight: 600;
  text-decoration: none;
}
`;

  // No part of a page may break because a counter does.
  const safely = (act) => {
    try {
      return act();
    } catch {
      /* the markup that stands there stays */
    }
  };

  // Where the script comes from says little: it may be merged into the page's own, copied, or imported as a module.
  const home =
    safely(() => ORIGINS.find((origin) => document.currentScript?.src.startsWith(`${origin}/`))) ?? ORIGINS[0];

  const make = (name, text, more = {}) => Object.assign(document.createElement(name), { textContent: text, ...more });

  const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

  function sheet(text) {
    const styles = new CSSStyleSheet(); // allowed where inline styles are not
    styles.replaceSync(text);
    return styles;
  }

  // White or black, whichever is easier to read on a colour.
  function ink(colour) {
    const [red, green, blue] = [1, 3, 5].map((place) => (parseInt(colour.slice(place, place + 2), 16) / 255) ** 2.2);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000" : "#fff";
  }

  class Counter extends HTMLElement {
    static observedAttributes = ["accent", "goal", "lang", "letter", "show", "src"];
    #asking;
    #counts;
    #failures = 0;
    #timer;
    #look = () => safely(() => (document.hidden ? this.#stop() : this.#ask()));

    connectedCallback() {
      safely(() => {
        this.#counts ??= this.#written;
        this.#draw();
        document.addEventListener("visibilitychange", this.#look);
        this.#look();
      });
    }

    disconnectedCallback() {
      safely(() => {
        document.removeEventListener("visibilitychange", this.#look);
        this.#stop();
      });
    }

    attributeChangedCallback(name) {
      if (!this.shadowRoot || !this.isConnected) return;
      safely(() => {
        const another = name === "letter" || name === "src";
        if (another) this.#counts = this.#written; // never one letter's number under another's name
        this.#draw();
        if (another || name === "show") this.#look();
      });
    }

    #stop() {
      clearTimeout(this.#timer);
      this.#asking?.abort();
    }

    // The count that the page itself gives.
    get #written() {
      const total = Number(this.querySelector("data")?.value || NaN);
      return isCount(total) ? { total } : undefined;
    }

    // The partner's own copy of the count, or ours; nothing if that is no address.
    get #address() {
      const src = this.getAttribute("src"),
        letter = this.getAttribute("letter");
      if (src) return safely(() => new URL(src, document.baseURI).href);
      const whole = this.getAttribute("show") === "addressees" ? "" : "/count";
      return letter && home && `${home}/api/v1/letters/${encodeURIComponent(letter)}${whole}`;
    }

    async #ask() {
      this.#stop();
      const address = this.#address,
        asking = (this.#asking = new AbortController());
      if (!address) return;
      // Newer browsers also give up on an answer that does not come.
      const signal = AbortSignal.any?.([asking.signal, AbortSignal.timeout(15000)]) ?? asking.signal;
      try {
        const answer = await fetch(address, { credentials: "omit", referrerPolicy: "no-referrer", signal });
        const body = answer.ok && (await answer.json());
        const counts = body?.counts ? { ...body.counts, addressees: body.addressees } : body;
        if (!isCount(counts?.total)) throw counts;
        this.#failures = 0;
        if (asking === this.#asking) {
          this.#counts = counts;
          this.#draw();
        }
      } catch {
        this.#failures = Math.min(this.#failures + 1, 5); // what stands there stays; the next try comes later
      }
      if (asking !== this.#asking || !this.isConnected || document.hidden) return;
      this.#timer = setTimeout(this.#look, (15000 + 15000 * Math.random()) * 2 ** this.#failures);
    }

    #draw() {
      const accent = this.getAttribute("accent") ?? "";
      const own = /^#[0-9a-f]{6}$/i.test(accent) ? [sheet(`:host { --a: ${accent}; --o: ${ink(accent)} }`)] : [];
      const sheets = [(Counter.sheet ??= sheet(CSS)), ...own];
      const parts = this.#counts ? this.#parts(this.#counts) : [make("slot", "")];
      // Only now, when nothing can fail any more: an empty shadow would hide the markup that stands there.
      const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = sheets;
      root.replaceChildren(...parts);
    }

    #parts(counts) {
      const languageTag = this.lang || this.closest("[lang]")?.lang || "";
      const lang = [languageTag.split("-")[0].toLowerCase(), ...Object.keys(WORDS)].find((code) => code in WORDS);
      const words = WORDS[lang],
        number = new Intl.NumberFormat(lang);
      const word = (of, count) => of[new Intl.PluralRules(lang).select(count)] ?? of.other;
      const link = this.querySelector("a[href]"),
        show = this.getAttribute("show");
      const line = make("p", "", { lang });
      line.append(make("b", number.format(counts.total)), " " + word(words.signatures, counts.total));
      const parts = [line];
      if (link) {
        parts.push(make("p", ""));
        parts[1].append(make("a", link.textContent, { href: link.href, dir: "auto" }));
      }
      // The first that is not reached yet, or the last there is.
      const goals = (this.getAttribute("goal") ?? "").split(/\s+/).map(Number);
      const goal = goals.find((each) => each > counts.total) ?? goals.at(-1);
      if (show === "progress" && goal > 0) {
        parts.push(make("progress", "", { max: goal, value: counts.total, ariaLabel: words.goal }));
        parts.push(make("p", `${words.goal}: ${number.format(goal)}`, { lang }));
      }
      if (show === "organizations" && isCount(counts.organizations)) {
        parts.push(
          make("p", `${number.format(counts.organizations)} ${word(words.organizations, counts.organizations)}`, {
            lang,
          }),
        );
      }
      if (show === "addressees" && Array.isArray(counts.addressees)) {
        for (const { name, state, days_silent: days } of counts.addressees
          .filter((each) => each.state !== "not_sent")
          .slice(0, 3)) {
          const what = days > 0 ? word(words.silent, days).replace("#", number.format(days)) : words.states[state];
          parts.push(make("p", `${name[lang] ?? Object.values(name)[0]}: ${what}`));
        }
      }
      if (show === "button" && link)
        parts.push(make("a", words.sign, { className: "button", href: `${link.href.split("#")[0]}#sign`, lang }));
      return parts;
    }
  }

  safely(() => customElements.define(NAME, Counter));
})();
