// What a search found: the place or words that were asked for, and the list of places.

import { byId, make, show } from "./elements.js";
import * as words from "./words.js";

const TEXT_LENGTH = 160;
const TITLE = byId("results-title").textContent;
const START = [...byId("query").children];

/** Show that an answer is on its way; `said` is what was asked. */
export function showWaiting(said) {
  byId("results").setAttribute("aria-busy", "true");
  byId("results-title").textContent = said;
  byId("query").replaceChildren(make("p", { class: "muted" }, "Searching …"));
  show(byId("clear"));
}

/** Show a sentence instead of answers. */
export function showRefusal(sentence) {
  fill([make("p", { class: "refusal" }, sentence)]);
}

/** Show what the page showed at first: how to begin. */
export function showNothing() {
  byId("results-title").textContent = TITLE;
  fill(START);
  show(byId("clear"), false);
}

/** Show answers; handlers: choose(answer), hover(rank or null), from(answer). */
export function showAnswers(query, { query: asked, answers }, handlers) {
  const ofPlace = query.kind === "place";
  byId("results-title").textContent = titleOf(query);
  const lines = [];
  if (ofPlace) lines.push(make("p", { class: "where" }, asked.country || "At sea", make("span", { class: "muted" }, ` · ${words.place(asked.lon, asked.lat)}`)));
  if (asked.outside === true) lines.push(make("p", { class: "warning", "data-outside": "true" }, "This place is unlike those that the model was trained on, so treat the answers with caution."));
  if (asked.outside === false) lines.push(make("p", { class: "muted small", "data-outside": "false" }, "This place is like those that the model was trained on."));
  if (asked.modality) lines.push(make("p", { class: "muted small" }, `Taken as an observation of ${words.named(asked.modality)}.`));
  if (query.kind === "image") lines.push(make("p", { class: "muted small", data: { note: "picture" } }, "A link to this page cannot contain the picture: whoever opens it has to choose the picture again."));
  for (const note of asked.notes) lines.push(make("p", { class: "muted small" }, note));
  if (ofPlace) lines.push(make("div", { id: "point-facts" }));
  const rows = answers.map((answer, i) => row(answer, ofPlace, i === 0 && hasReasons(answer), handlers));
  fill(lines, rows, answers.length ? words.MEANING[ofPlace ? "place" : "other"] : "No place was found.");
}

/** Add what is known about the place that was asked for: training observations nearby, values of layers. */
export function showPoint({ km, layers }, titles) {
  const box = byId("point-facts");
  if (!box) return;
  const near = Object.entries(km).sort((a, b) => a[1] - b[1]);
  const facts = near.map(([modality, value]) => [words.named(modality), words.distance(value)]);
  const values = Object.entries(layers).filter(([id, one]) => titles[id] && one.words).map(([id, one]) => [titles[id], one.words]);
  box.replaceChildren(
    ...(facts.length ? [factBox("Nearest training observations", facts, true)] : []),
    ...(values.length ? [factBox("Layers here", values)] : []),
  );
}

/** Say in one sentence what was found, for screen readers. */
export function summary(query, { query: asked, answers }) {
  if (!answers.length) return "No place was found.";
  const { country, words: match, km } = answers[0];
  const far = km == null ? "" : `, ${words.distance(km)} away`;
  const outside = asked.outside ? " The place is unlike those that the model was trained on." : "";
  const where = query.kind === "place" ? `${asked.country || "At sea"}, ${words.place(asked.lon, asked.lat)}` : titleOf(query);
  return `${words.count(answers.length)} places found. ${where}. The first: ${country || "at sea"}, ${match}${far}.${outside}`;
}

/** What was asked, as a title. */
export function titleOf(query) {
  if (query.kind === "place") return "Places like this one";
  if (query.kind === "text") return `Places for “${query.text}”`;
  if (query.kind === "image") return `Places for the picture ${query.file?.name ?? ""}`;
  return `Places where ${words.listed(Object.entries(query.columns).map(([name, value]) => `${name} is ${value}`))}`;
}

/** Emphasise the row of a rank, or none. */
export function emphasise(rank) {
  for (const one of byId("answers").children) one.classList.toggle("on", Number(one.dataset.rank) === rank);
}

/** Open the row of a rank, close the others and bring it into sight. */
export function openRow(rank, focus = false) {
  for (const one of byId("answers").children) {
    const mine = Number(one.dataset.rank) === rank;
    const button = one.querySelector(".answer");
    button.setAttribute("aria-expanded", String(mine));
    show(one.querySelector(".why"), mine);
    if (mine) one.scrollIntoView({ block: "nearest" });
    if (mine && focus) button.focus({ preventScroll: true });
  }
}

// Replace sentences about the query, rows of answers and the note below them.
function fill(sentences, rows = [], note = "") {
  byId("results").setAttribute("aria-busy", "false");
  byId("query").replaceChildren(...sentences);
  byId("answers").replaceChildren(...rows);
  byId("answers-note").textContent = note;
  show(byId("answers-note"), !!note);
}

function hasReasons({ alike, nearest }) {
  return Object.keys(alike).length > 0 || nearest.length > 0;
}

function row(answer, ofPlace, open, { choose, hover, from }) {
  const { rank, country, similarity, words: match, km, alike, nearest } = answer;
  const said = [match, similarity.toFixed(2), km == null ? null : `${words.distance(km)} away`];
  const why = make("div", { class: "why", id: `why-${rank}`, hidden: !open });
  why.append(...bars(alike), ...observations(nearest));
  why.append(make("button", { type: "button", class: "quiet", click: () => from(answer) }, "Search from here"));
  const button = make("button", {
    type: "button",
    class: "answer",
    "aria-expanded": String(open),
    "aria-controls": `why-${rank}`,
    click: () => choose(answer),
    focus: () => hover(rank),
    blur: () => hover(null),
  }, make("span", { class: "badge", "aria-hidden": "true" }, String(rank)), make("span", { class: "said" }, make("strong", {}, country || "At sea"), make("span", { class: "muted" }, said.filter(Boolean).join(" · "))));
  return make("li", { data: { rank }, mouseenter: () => hover(rank), mouseleave: () => hover(null) }, button, why);
}

function bars(alike) {
  const sorted = Object.entries(alike).sort((a, b) => b[1] - a[1]);
  if (!sorted.length) return [];
  const items = sorted.flatMap(([modality, value]) => [
    make("dt", {}, words.named(modality)),
    make("dd", {}, make("span", { class: "bar", "aria-hidden": "true", vars: { part: Math.max(0, Math.min(1, value)) } }), make("span", { class: "figure" }, value.toFixed(2))),
  ]);
  return [make("h3", {}, "Alike in"), make("dl", { class: "bars" }, ...items)];
}

function observations(nearest) {
  if (!nearest.length) return [];
  const items = nearest.map(({ modality, id, km, text }) => {
    const said = text ? [shortened(text), ` · ${words.named(modality)}, ${words.distance(km)}`] : [`${words.named(modality)} ${id}`, ` · ${words.distance(km)}`];
    return make("li", {}, said[0], make("span", { class: "muted" }, said[1]));
  });
  return [make("h3", {}, "Nearest training observations"), make("ul", { class: "observations" }, ...items)];
}

function factBox(title, pairs, first = false) {
  const items = pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  return make("details", { class: "facts" }, make("summary", {}, title, first && make("span", { class: "muted" }, ` · ${pairs[0].join(" ")}`)), make("dl", {}, ...items));
}

function shortened(text) {
  return text.length > TEXT_LENGTH ? `${text.slice(0, TEXT_LENGTH).trimEnd()} …` : text;
}
