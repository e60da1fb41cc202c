// Searches: asked of the server for each map, marked on the maps and listed in the panel.

import * as answers from "./answers.js";
import * as asking from "./asking.js";
import { byId, make, show } from "./elements.js";
import { PREDICTION, showLayers } from "./layers.js";
import { emphasise, makeRoom } from "./maps.js";
import { announce, hideHint, trouble } from "./messages.js";
import * as panel from "./panel.js";
import { Refusal, ask } from "./server.js";
import { go, keepFile, modelOf, session } from "./session.js";
import { SIMILARITY } from "./side.js";

const KEPT = 30;

const kept = new Map(); // answers by model and query
let shown = null; // models and query that are on the screen
let running = new AbortController();
// Whether answers may move the map: not after a click on it, the back button, or by a link that has a view.
let moves = !session.state.view;

/** Ask for a place, {kind: "place", lon, lat}, or by words, a picture or values; `bring` it into sight. */
export function askFor(query, bring = false) {
  if (query.kind === "place" && Math.abs(query.lat) > 90) {
    trouble(`${query.lat} is not a latitude; enter the longitude first and then the latitude, from -90 to 90, such as 5.66, 51.97.`);
    return;
  }
  performance.clearMarks("click");
  performance.clearMarks("layer");
  performance.mark("click");
  hideHint();
  moves = bring;
  if (query.kind === "image") query.number = keepFile(query.file);
  panel.openTab("search");
  go({ query, layers: session.state.layers.map(layerOfQuery) });
  if (bring && query.kind === "place") session.sides[0]?.view.bring(query.lon, query.lat);
}

/** Forget the query. */
export function clearSearch() {
  go({ query: null, layers: session.state.layers.map((id) => (id === SIMILARITY ? null : id)) });
  byId("results-title").focus();
}

/** Run the query of the state unless its answers are shown; `again` runs it anyway. */
export async function search(again = false) {
  const { sides, state } = session;
  const { query } = state;
  const key = JSON.stringify([{ ...query, file: undefined }, sides.map((_, i) => modelOf(i).name)]);
  if (key === shown && !again) return;
  shown = key;
  running.abort();
  running = new AbortController();
  const { signal } = running;
  sides.forEach((side, i) => {
    Object.assign(side, { answer: null, refused: false, expected: expectedLayer(modelOf(i), query) });
    if (query) side.begin();
    side.view.mark([]);
    side.view.pin(query?.kind === "place" ? query.lon : null, query?.lat);
  });
  const mayMove = moves;
  moves = false;
  show(byId("answers-of"), false);
  asking.recall(query);
  if (!query) {
    answers.showNothing();
    return;
  }
  answers.showWaiting(answers.titleOf(query));
  if (!state.compare) panel.pull("half", makeRoom);
  await Promise.all(sides.map((side, i) => searchOn(side, i, query, signal, mayMove && i === 0)));
  if (signal.aborted) return;
  const answered = sides.findIndex((side) => side.answer);
  if (answered >= 0 && !sides[session.listed].answer) list(answered);
  offerLists();
}

/** List the answers of a side. */
export function list(i) {
  const side = session.sides[i];
  session.listed = i;
  if (!side.answer) return;
  const { query } = session.state;
  answers.showAnswers(query, side.answer, {
    choose: ({ rank, lon, lat }) => {
      answers.openRow(rank);
      side.view.fly(lon, lat);
    },
    hover: (rank) => emphasise(i, rank),
    from: ({ lon, lat }) => askFor({ kind: "place", lon, lat }, true),
  });
  announce(answers.summary(query, side.answer));
  if (query.kind === "place") describePoint(query, side, i);
}

async function searchOn(side, i, query, signal, mayMove) {
  try {
    const answer = await answerOf(modelOf(i).name, query, signal);
    if (signal.aborted) return;
    side.answer = answer;
    if (i === session.listed) list(i);
    side.view.mark(answer.answers);
    if (mayMove) side.view.include(query.kind === "place" ? [query, ...answer.answers] : answer.answers);
  } catch (error) {
    if (signal.aborted) return;
    side.refused = true;
    side.expected = null;
    const sentence = error instanceof Refusal ? error.message : "The answers could not be shown; reload the page to try again.";
    if (i === session.listed) answers.showRefusal(sentence);
    if (session.sides.length > 1) trouble(`${modelOf(i).name}: ${sentence}`);
    else announce(sentence);
    if (!(error instanceof Refusal)) throw error;
  } finally {
    if (!signal.aborted) showLayers();
  }
}

// The layer after a query: similarity (null), but a prediction stays, and in comparisons so does any other layer.
function layerOfQuery(id) {
  if (id?.startsWith(PREDICTION)) return id;
  return session.state.compare && id !== SIMILARITY ? id : null;
}

// Tiles of a place are requested together with its answers; title and legend come with the answers.
function expectedLayer({ name: model, layers }, query) {
  if (query?.kind !== "place") return null;
  const version = new URLSearchParams(layers[0]?.tiles.split("?")[1]).get("v"); // lets the browser keep tiles
  const parameters = new URLSearchParams({ ...placeOf(query), model, ...(version && { v: version }) });
  return { tiles: `/tiles/similarity/{z}/{x}/{y}.png?${parameters}` };
}

// Four decimals are 11 m.
function placeOf({ lon, lat }) {
  return { lon: Number(lon.toFixed(4)), lat: Number(lat.toFixed(4)) };
}

// Ask the server, or return its earlier answer.
function answerOf(model, query, signal) {
  const key = JSON.stringify([model, { ...query, file: undefined }]);
  if (!kept.has(key)) {
    const answer = request(model, query, signal);
    answer.catch(() => kept.delete(key));
    kept.set(key, answer);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  }
  return kept.get(key);
}

function request(model, query, signal) {
  const parameters = { model, modality: query.modality };
  if (query.kind === "place") return ask("/similar", { parameters: { ...placeOf(query), model }, signal });
  if (query.kind === "text") return ask("/search", { parameters: { ...parameters, text: query.text }, signal });
  const body = new FormData();
  if (query.kind === "image") body.append("image", query.file, query.file.name);
  else body.append("columns", JSON.stringify(query.columns));
  return ask("/search", { method: "POST", parameters, body, signal });
}

async function describePoint(query, side, i) {
  const { signal } = running;
  await side.drawn; // draw the layer first
  if (signal.aborted) return;
  const { name: model, layers } = modelOf(i);
  try {
    const found = await ask("/point", { parameters: { ...placeOf(query), model }, signal });
    if (!signal.aborted) answers.showPoint(found, Object.fromEntries(layers.map(({ id, title }) => [id, title])));
  } catch (error) {
    if (!(error instanceof Refusal) && error.name !== "AbortError") throw error;
  }
}

// Offer the choice whose answers are listed if two models answered.
function offerLists() {
  const { sides, listed } = session;
  const several = sides.length > 1 && modelOf(0) !== modelOf(1) && sides.every((side) => side.answer);
  show(byId("answers-of"), several);
  if (!several) return;
  const choice = (_, i) => make("label", {}, make("input", { type: "radio", name: "answers-of", value: String(i), checked: i === listed, change: () => list(i) }), modelOf(i).name);
  byId("answers-of").replaceChildren(...sides.map(choice));
}
