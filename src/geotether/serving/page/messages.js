// Messages: status, errors, and announcements to screen readers.

import { byId, make, show } from "./elements.js";
import { keep, kept } from "./theme.js";

const HINT = "geotether-hint";
const TROUBLE_MS = 10000;

let timer = 0;

/** Announce a sentence to screen readers. */
export function announce(sentence) {
  byId("announcer").textContent = sentence;
}

/** Show a status, or none (null), for `ms` or until the next one. */
export function status(sentence, ms = 0) {
  clearTimeout(timer);
  byId("status").textContent = sentence ?? "";
  show(byId("status"), !!sentence);
  if (ms) timer = setTimeout(() => status(null), ms);
}

/** Show an error for `ms`, or with 0 until its element, which is returned, is removed. */
export function trouble(sentence, ms = TROUBLE_MS) {
  const there = [...byId("trouble").children].find((one) => one.textContent === sentence);
  if (there) return there;
  const line = make("p", {}, sentence);
  byId("trouble").append(line);
  if (ms) setTimeout(() => line.remove(), ms);
  return line;
}

/** Show how to begin until `hideHint` was called once in this browser. */
export function showHint() {
  show(byId("hint"), !kept(HINT));
}

/** Hide the hint for good. */
export function hideHint() {
  show(byId("hint"), false);
  keep(HINT, "seen");
}
