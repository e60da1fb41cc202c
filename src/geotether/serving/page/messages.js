// Sentences to the reader: what is going on, what went wrong, and what screen readers are told.

import { byId, make, show } from "./elements.js";

const HINT = "geotether-hint";
const TROUBLE_MS = 10000;

let timer = 0;

/** Tell screen readers. */
export function announce(sentence) {
  byId("announcer").textContent = sentence;
}

/** Show what is going on, or nothing (null); for `ms`, or until it is changed. */
export function status(sentence, ms = 0) {
  clearTimeout(timer);
  byId("status").textContent = sentence ?? "";
  show(byId("status"), !!sentence);
  if (ms) timer = setTimeout(() => status(null), ms);
}

/** Show what went wrong; it stays for some seconds, or with `ms` 0 until its element, which is returned, is removed. */
export function trouble(sentence, ms = TROUBLE_MS) {
  const there = [...byId("trouble").children].find((one) => one.textContent === sentence);
  if (there) return there;
  const line = make("p", {}, sentence);
  byId("trouble").append(line);
  if (ms) setTimeout(() => line.remove(), ms);
  return line;
}

/** Show on a first visit how to begin. Storage may be refused, as in private windows; then it is shown each time. */
export function showHint() {
  let seen = null;
  try {
    seen = localStorage.getItem(HINT);
  } catch {
    // not known
  }
  show(byId("hint"), !seen);
}

/** Hide the hint for good. */
export function hideHint() {
  show(byId("hint"), false);
  try {
    localStorage.setItem(HINT, "seen");
  } catch {
    // shown again next time
  }
}
