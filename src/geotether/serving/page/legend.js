// Legends: a gradient with numbers and its unit, classes with names, or the meaning of the colour channels.

import { make } from "./elements.js";
import { keep, kept } from "./theme.js";
import { number } from "./words.js";

const CHANNELS = ["#e5484d", "#30a46c", "#3e63dd"]; // red, green and blue
const TICKS = 4;
const KEY = "geotether-legend";
const OPEN = "legend-open"; // class of the body; style.css folds legends on narrow screens only

let open = kept(KEY) === "open";
document.body.classList.toggle(OPEN, open);

/** The element of a legend as the server describes it, without its note. */
export function legendOf(legend) {
  const drawn = { ramp, classes, rgb }[legend.kind]?.(legend);
  return make("div", { class: "legend", "data-kind": legend.kind }, drawn);
}

/** A button for narrow screens that unfolds and folds the legends of all maps; it controls elements with these ids. */
export function foldButton(id, controls) {
  return make("button", { type: "button", id, class: "icon fold", title: "Legend", "aria-label": "Legend", "aria-controls": controls, "aria-expanded": String(open), click: fold });
}

function fold() {
  open = !open;
  keep(KEY, open ? "open" : "folded");
  document.body.classList.toggle(OPEN, open);
  for (const button of document.querySelectorAll(".fold")) button.setAttribute("aria-expanded", String(open));
}

function ramp({ stops, unit, opacity }) {
  // If the last two stops have the same value, the last colour is for all values above it.
  const above = stops.length > 2 && stops.at(-1)[0] === stops.at(-2)[0] ? stops.at(-1) : null;
  const shown = above ? stops.slice(0, -1) : stops;
  const low = shown[0][0];
  const span = shown.at(-1)[0] - low || 1;
  const colours = shown.map(([value, colour], i) => `${colour}${alpha(opacity?.[i])} ${(100 * (value - low)) / span}%`);
  const bar = make("div", { class: "gradient", role: "img", "aria-label": `From ${number(low)} to ${number(low + span)} ${unit ?? ""}` });
  bar.style.backgroundImage = `linear-gradient(to right, ${colours.join(", ")})`;
  const ticks = Array.from({ length: TICKS + 1 }, (_, i) => make("span", {}, tick(low + (span * i) / TICKS, span / TICKS)));
  return make(
    "div",
    {},
    bar,
    make("div", { class: "ticks", "aria-hidden": "true" }, ...ticks),
    unit && make("p", { class: "unit muted small" }, unit),
    above && make("ul", { class: "classes" }, entry(`above ${number(above[0])}`, above[1])),
  );
}

// Opacity from 0 to 1 as the last two digits of a colour.
function alpha(opacity = 1) {
  return Math.round(opacity * 255).toString(16).padStart(2, "0");
}

// Round to the decimals that distinguish neighbouring ticks.
function tick(value, step) {
  const decimals = Math.min(Math.max(1 - Math.floor(Math.log10(Math.abs(step))), 0), 6);
  return number(Number(value.toFixed(decimals)));
}

function classes({ classes: all }) {
  return make("ul", { class: "classes" }, ...all.map(({ name, colour }) => entry(String(name), colour)));
}

function rgb({ channels }) {
  return make("ul", { class: "classes wide" }, ...channels.map((words, i) => entry(words, CHANNELS[i])));
}

function entry(words, colour) {
  return make("li", {}, make("i", { class: "swatch", vars: { colour } }), words);
}
