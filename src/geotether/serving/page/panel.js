// The panel: its tabs, and on phones a sheet that is pulled up from the bottom.

import { byId, show } from "./elements.js";

const NARROW = matchMedia("(max-width: 699px)");
const SHEETS = ["peek", "half", "full"];
const PULL_PX = 40;
const TABS = ["search", "data"];

/** Whether the panel is a sheet at the bottom. */
export function isSheet() {
  return NARROW.matches;
}

/** Call `changed` when the panel changes its size. */
export function listen(changed) {
  for (const name of TABS) {
    byId(`tab-${name}`).addEventListener("click", () => openTab(name));
    byId(`tab-${name}`).addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = TABS[(TABS.indexOf(name) + step + TABS.length) % TABS.length];
      openTab(next);
      byId(`tab-${next}`).focus();
    });
  }
  const handle = byId("handle");
  let start = null;
  let pulled = false;
  handle.addEventListener("pointerdown", (event) => {
    start = event.clientY;
    pulled = false;
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointerup", (event) => {
    const way = start === null ? 0 : start - event.clientY;
    start = null;
    pulled = Math.abs(way) >= PULL_PX;
    if (pulled) setSheet(neighbour(Math.sign(way)), changed);
  });
  handle.addEventListener("click", () => {
    if (!pulled) setSheet(byId("panel").dataset.sheet === "peek" ? "half" : "peek", changed);
    pulled = false;
  });
  NARROW.addEventListener("change", changed);
}

/** Open a tab of the panel. */
export function openTab(name) {
  for (const one of TABS) {
    const mine = one === name;
    byId(`tab-${one}`).setAttribute("aria-selected", String(mine));
    byId(`tab-${one}`).tabIndex = mine ? 0 : -1;
    show(byId(`pane-${one}`), mine);
  }
}

/** Set the height of the sheet ("peek" or "half") unless the reader made it full; no effect in wide windows. */
export function pull(sheet, changed) {
  if (isSheet() && byId("panel").dataset.sheet !== "full") setSheet(sheet, changed);
}

/** The room that the panel takes from the map, in pixels. */
export function paddingOf(comparing) {
  const box = byId("panel").getBoundingClientRect();
  const none = { left: 0, right: 0, top: 0, bottom: 0 };
  if (comparing) return none;
  return isSheet() ? { ...none, bottom: Math.min(box.height, innerHeight * 0.5) } : { ...none, left: box.right };
}

function neighbour(step) {
  const place = SHEETS.indexOf(byId("panel").dataset.sheet) + step;
  return SHEETS[Math.min(Math.max(place, 0), SHEETS.length - 1)];
}

function setSheet(name, changed) {
  byId("panel").dataset.sheet = name;
  byId("handle").setAttribute("aria-expanded", String(name !== "peek"));
  changed();
}
