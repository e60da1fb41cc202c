// Light or dark colours: those of the system until another choice is made, and the browser's storage that keeps it.

const KEY = "geotether-theme";
const DARK = matchMedia("(prefers-color-scheme: dark)");

/** "light" or "dark". */
export function theme() {
  return document.documentElement.dataset.theme ?? (DARK.matches ? "dark" : "light");
}

/** Restore the choice, and call `changed` with the theme when it changes. */
export function listen(button, changed) {
  const chosen = kept(KEY);
  if (["light", "dark"].includes(chosen)) document.documentElement.dataset.theme = chosen;
  const say = () => button.setAttribute("aria-pressed", String(theme() === "dark"));
  say();
  DARK.addEventListener("change", () => {
    say();
    changed(theme());
  });
  button.addEventListener("click", () => {
    const next = theme() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    keep(KEY, next);
    say();
    changed(next);
  });
}

/** Whether animations are unwanted. */
export function isStill() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Return a text that `keep` stored in this browser, or null. */
export function kept(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Store a text in this browser, unless it refuses storage, as in some private windows. */
export function keep(key, text) {
  try {
    localStorage.setItem(key, text);
  } catch {
    // it is forgotten with the page
  }
}
