// Light or dark colours: those of the system until another choice is made, which is kept.

const KEY = "geotether-theme";
const DARK = matchMedia("(prefers-color-scheme: dark)");

/** "light" or "dark". */
export function theme() {
  return document.documentElement.dataset.theme ?? (DARK.matches ? "dark" : "light");
}

/** Restore the choice, and call back with the theme when it changes. */
export function listen(button, changed) {
  const kept = read();
  if (kept) document.documentElement.dataset.theme = kept;
  const say = () => button.setAttribute("aria-pressed", String(theme() === "dark"));
  say();
  DARK.addEventListener("change", () => {
    say();
    changed(theme());
  });
  button.addEventListener("click", () => {
    const next = theme() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    keep(next);
    say();
    changed(next);
  });
}

/** Whether animations are unwanted. */
export function isStill() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

// Storage may be refused, for example in private windows.
function read() {
  try {
    const kept = localStorage.getItem(KEY);
    return ["light", "dark"].includes(kept) ? kept : null;
  } catch {
    return null;
  }
}

function keep(value) {
  try {
    localStorage.setItem(KEY, value);
  } catch {
    // the choice lasts as long as the page
  }
}
