// The page: its state, and what follows from a change of it.

import { readState, writeState } from "./address.js";
import * as about from "./about.js";
import * as answers from "./answers.js";
import * as asking from "./asking.js";
import { byId, make, show } from "./elements.js";
import { registerTiles } from "./overlay.js";
import * as panel from "./panel.js";
import * as points from "./points.js";
import * as prediction from "./prediction.js";
import { FORGOTTEN } from "./prediction.js";
import { Refusal, ask, onTrouble } from "./server.js";
import { NONE, SIMILARITY, Side } from "./side.js";
import * as theme from "./theme.js";
import { listed } from "./words.js";


const START = "Click anywhere on the map to see where else on Earth is like it. By keyboard: Tab to the map, move it with the arrow keys, press Enter.";
const KEPT_ANSWERS = 30;
const SEEN_HINT = "geotether-hint";
const PREDICTION = "prediction.";

let state = readState(location.hash);
let server = null; // what /model says
let maplibre = null;
let shown = {}; // what of the state is on the screen
let listedSide = 0; // the side whose answers are listed
let job = { id: null, result: null, stop: null };
let drawn = null; // points on the map: {key, data}
const sides = [];
const kept = new Map(); // answers by model and query
const files = new Map(); // pictures by number, for the back button
let asked = null; // AbortController of the running search

// ---------------------------------------------------------------- changes of the state

/** Change the state; a new entry of the history unless `replace`. */
function go(change, replace = false) {
  state = { ...state, ...change };
  const entry = { image: state.query?.kind === "image" ? state.query.number : null };
  history[replace ? "replaceState" : "pushState"](entry, "", writeState(state));
  apply();
}

function restore(entry) {
  const before = state.view;
  state = readState(location.hash);
  if (entry?.image != null && files.has(entry.image)) state.query = { kind: "image", number: entry.image, file: files.get(entry.image) };
  if (state.view && sides[0] && JSON.stringify(before) !== JSON.stringify(state.view)) sides[0].view.jump(state.view);
  apply();
}

/** Bring the screen to the state. */
function apply() {
  if (!server || !maplibre) return;
  arrangeSides();
  const query = JSON.stringify(state.query, (_, value) => (value instanceof File ? undefined : value));
  const key = `${query} ${sides.map((side) => nameOf(side.number - 1)).join(" ")}`;
  if (shown.key !== key) {
    shown.key = key;
    search();
  }
  showPoints();
  showJob();
  showLayers();
}

function modelOf(i) {
  const byName = server.models.find(({ name }) => name === state.models[i]);
  if (byName) return byName;
  const first = server.models.find(({ name }) => name === state.models[0]) ?? server.models[0];
  return i === 0 ? first : server.models.find((one) => one !== first) ?? first;
}

function nameOf(i) {
  return modelOf(i).name;
}

// ---------------------------------------------------------------- maps

function arrangeSides() {
  const wanted = state.compare ? 2 : 1;
  while (sides.length > wanted) sides.pop().remove();
  while (sides.length < wanted) sides.push(makeSide(sides.length));
  if (listedSide >= sides.length) listedSide = 0;
  document.body.classList.toggle("comparing", state.compare);
  byId("compare").setAttribute("aria-pressed", String(state.compare));
  byId("globe").setAttribute("aria-pressed", String(state.globe));
  if (shown.compare !== state.compare) {
    shown.compare = state.compare;
    for (const side of sides) side.view.map.resize();
    makeRoom();
  }
  if (shown.globe !== state.globe) {
    shown.globe = state.globe;
    for (const side of sides) side.view.ready.then(() => side.view.setGlobe(state.globe));
  }
  sides.forEach((side, i) => side.offerModels(server.models.map(({ name }) => name), nameOf(i)));
  if (shown.asks !== nameOf(0)) {
    shown.asks = nameOf(0);
    asking.offerWays(modelOf(0).asks);
    asking.recall(state.query);
    document.title = `geotether · ${nameOf(0)}`;
  }
}

function makeSide(i) {
  const other = () => sides[1 - i];
  const set = (list, value) => list.map((one, place) => (place === i ? value : one));
  const side = new Side(i + 1, maplibre, byId("maps"), {
    theme: theme.theme(),
    globe: state.globe,
    still: theme.isStill(),
    view: i === 0 ? state.view : sides[0].view.state(),
    name: i === 0 ? "Map" : "Second map",
    handlers: {
      place: (lon, lat) => askFor({ kind: "place", lon, lat }),
      marker: (rank) => {
        list(i);
        answers.openRow(rank, true);
      },
      hover: (rank) => emphasise(i, rank),
      point: (lonlat) => other()?.view.showGhost(lonlat),
      moved: (view) => i === 0 && keepView(view),
      model: (name) => go({ models: set(state.models, name), layers: set(state.layers, keepLayer(i)) }),
      layer: (id) => go({ layers: set(state.layers, id) }),
      opacity: (opacity) => go({ opacity }, true),
      mask: (mask) => go({ mask }, true),
    },
  });
  let moving = false;
  side.view.map.on("move", () => {
    if (moving || !other() || other().following) return;
    side.following = true;
    const { lng, lat } = side.view.map.getCenter();
    other().view.jump({ lon: lng, lat, zoom: side.view.map.getZoom() });
    side.following = false;
  });
  return side;
}

// A layer of a prediction belongs to one model.
function keepLayer(i) {
  return state.layers[i]?.startsWith(PREDICTION) ? null : state.layers[i];
}

let viewTimer = 0;
function keepView(view) {
  clearTimeout(viewTimer);
  viewTimer = setTimeout(() => {
    state = { ...state, view };
    history.replaceState(history.state, "", writeState(state));
  }, 250);
}

function makeRoom() {
  sides[0]?.view.setPadding(panel.paddingOf(state.compare));
}

function emphasise(i, rank) {
  sides[i]?.view.emphasise(rank);
  if (i === listedSide) answers.emphasise(rank);
}

// ---------------------------------------------------------------- searches

function askFor(query) {
  if (query.kind === "place" && Math.abs(query.lat) > 90) {
    trouble(`${query.lat} is not a latitude; give the longitude first and then the latitude, from -90 to 90, such as 5.66, 51.97.`);
    return;
  }
  performance.clearMarks("click");
  performance.clearMarks("layer");
  performance.mark("click");
  hideHint();
  if (query.kind === "image") {
    query.number = files.size;
    files.set(query.number, query.file);
  }
  const free = (id) => state.compare ? (id === SIMILARITY ? null : id) : id?.startsWith(PREDICTION) ? id : null;
  panel.openTab("search");
  go({ query, layers: state.layers.map(free) });
}

async function search() {
  asked?.abort();
  asked = new AbortController();
  const { signal } = asked;
  const { query } = state;
  for (const side of sides) side.answer = null;
  for (const side of sides) side.refused = false;
  sides.forEach((side, i) => {
    side.expected = expectedLayer(nameOf(i), query);
  });
  if (query) for (const side of sides) side.begin();
  for (const side of sides) side.view.mark([]);
  for (const side of sides) side.view.pin(query?.kind === "place" ? query.lon : null, query?.lat);
  byId("answers-of").hidden = true;
  asking.recall(query);
  if (!query) {
    answers.showNothing(START);
    return;
  }
  answers.showWaiting(answers.titleOf(query));
  panel.raise();
  await Promise.all(sides.map(async (side, i) => {
    try {
      side.answer = await answerOf(nameOf(i), query, signal);
      if (signal.aborted) return;
      if (i === listedSide) list(i);
      side.view.mark(side.answer.answers);
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      side.refused = true;
      side.expected = null;
      if (i === listedSide) {
        answers.showRefusal(error.message);
        announce(error.message);
      }
      if (!(error instanceof Refusal)) throw error;
    }
    showLayers();
  }));
  if (!signal.aborted) offerLists();
}

// The tiles of a place are asked for at once, beside its answers; the words and the legend come with the answers.
function expectedLayer(model, query) {
  if (query?.kind !== "place") return null;
  const place = new URLSearchParams({ lon: query.lon.toFixed(4), lat: query.lat.toFixed(4), model });
  return { tiles: `/tiles/similarity/{z}/{x}/{y}.png?${place}`, legend: null };
}

/** Ask the server, or take the answer that it gave before. */
function answerOf(model, query, signal) {
  const key = JSON.stringify([model, { ...query, file: undefined }]);
  if (!kept.has(key)) {
    const answer = requestAnswer(model, query, signal);
    answer.catch(() => kept.delete(key));
    kept.set(key, answer);
    if (kept.size > KEPT_ANSWERS) kept.delete(kept.keys().next().value);
  }
  return kept.get(key);
}

function requestAnswer(model, query, signal) {
  if (query.kind === "place") return ask("/similar", { parameters: { lon: query.lon.toFixed(4), lat: query.lat.toFixed(4), model }, signal });
  const parameters = { model, modality: query.modality };
  if (query.kind === "text") return ask("/search", { parameters: { ...parameters, text: query.text }, signal });
  const body = new FormData();
  if (query.kind === "image") body.append("image", query.file, query.file.name);
  else body.append("columns", JSON.stringify(query.columns));
  return ask("/search", { method: "POST", parameters, body, signal });
}

/** List the answers of one side. */
function list(i) {
  const side = sides[i];
  listedSide = i;
  if (!side.answer) return;
  const { query } = state;
  answers.showAnswers(query, side.answer, {
    choose: ({ rank, lon, lat }) => {
      answers.openRow(rank);
      side.view.fly(lon, lat);
    },
    hover: (rank) => emphasise(i, rank),
    from: ({ lon, lat }) => {
      askFor({ kind: "place", lon, lat });
      side.view.bring(lon, lat);
    },
  });
  announce(answers.summary(query, side.answer));
  if (query.kind === "place") describePoint(query, i);
}

async function describePoint({ lon, lat }, i) {
  const { signal } = asked;
  await sides[i].drawn; // the layer goes first
  if (signal.aborted) return;
  try {
    const found = await ask("/point", { parameters: { lon: lon.toFixed(4), lat: lat.toFixed(4), model: nameOf(i) }, signal });
    if (!signal.aborted) answers.showPoint(found, Object.fromEntries(modelOf(i).layers.map(({ id, title }) => [id, title])));
  } catch (error) {
    if (!(error instanceof Refusal) && error.name !== "AbortError") throw error;
  }
}

function offerLists() {
  const box = byId("answers-of");
  const several = sides.length > 1 && nameOf(0) !== nameOf(1) && sides.every((side) => side.answer);
  show(box, several);
  if (!several) return;
  box.replaceChildren(...sides.map((side, i) => make("label", {}, make("input", { type: "radio", name: "answers-of", value: String(i), checked: i === listedSide, change: () => list(i) }), nameOf(i))));
}

// ---------------------------------------------------------------- layers

function layersOf(i) {
  const answer = sides[i].answer;
  const own = modelOf(i).layers;
  const given = answer?.layer ?? sides[i].expected;
  const similarity = { ...given, ...(sides[i].expected && { tiles: sides[i].expected.tiles }), id: SIMILARITY, title: "Similarity", disabled: !state.query };
  const groups = [[null, [{ id: NONE, title: "No layer" }, similarity, ...own]]];
  if (job.result && job.model === nameOf(i)) groups.push([`Map of ${job.label ?? "a label"}`, job.result.layers.filter(({ id }) => id !== "outside").map((one) => ({ ...one, id: PREDICTION + one.id }))]);
  return groups;
}

function chosenLayer(i) {
  const usual = state.query ? SIMILARITY : NONE;
  return state.layers[i] ?? usual;
}

function showLayers() {
  sides.forEach((side, i) => {
    const groups = layersOf(i);
    const all = groups.flatMap(([, layers]) => layers);
    const chosen = all.find(({ id, disabled }) => id === chosenLayer(i) && !disabled) ?? all[0];
    side.offerLayers(groups, chosen.id);
    const layer = chosen.tiles ? chosen : null;
    const predicted = chosen.id.startsWith(PREDICTION);
    const extra = drawn?.data ? [{ title: `${state.column} of ${points.tableOf(state.points)?.name ?? "the points"}`, legend: drawn.data.legend }] : [];
    const mask = predicted ? job.result.layers.find(({ id }) => id === "outside") : null;
    const waiting = !!state.query && !side.answer && !side.refused;
    const done = () => i === 0 && layer?.id === SIMILARITY && !performance.getEntriesByName("layer").length && performance.mark("layer");
    side.showLayer(layer, { opacity: state.opacity, mask, masked: state.mask, extra, waiting, done });
  });
}

// ---------------------------------------------------------------- points and predictions

async function showPoints() {
  const key = state.points && state.column ? JSON.stringify([state.points, state.column]) : null;
  points.offerTables(state.points, state.column);
  prediction.offerLabels(points.tableOf(state.points));
  if ((drawn?.key ?? null) === key) {
    if (drawn?.data) for (const side of sides) if (side.drawn !== key) drawOn(side, key);
    return;
  }
  drawn = key ? { key, data: null } : null;
  for (const side of sides) drawOn(side, null);
  if (!key) return;
  try {
    const data = await points.fetchPoints(state.points, state.column);
    if (drawn?.key !== key) return;
    drawn.data = data;
    for (const side of sides) drawOn(side, key);
    showLayers();
  } catch (error) {
    trouble(error.message);
    if (error.status === 404) go({ points: null, column: null }, true);
  }
}

function drawOn(side, key) {
  side.drawn = key;
  side.view.draw(key ? drawn.data : null);
}

async function sendPoints(file) {
  panel.openTab("data");
  status(`Reading ${file.name} …`);
  try {
    const table = await points.sendFile(file);
    status(null);
    go({ points: table.id, column: points.firstColumn(table), job: null });
    announce(`${table.name}: ${table.rows} points are on the map.`);
    if (table.bounds) sides[0].view.fit(table.bounds);
  } catch (error) {
    status(null);
    trouble(error.message);
  }
}

async function showJob() {
  if (state.job === job.id) return;
  job.stop?.abort();
  job = { id: state.job, result: null, stop: new AbortController(), model: nameOf(0), label: jobs.get(state.job) };
  if (!state.job) {
    prediction.showNone();
    return;
  }
  const mine = job;
  const result = await prediction.followJob(state.job, mine.stop.signal);
  if (job !== mine) return;
  if (result === FORGOTTEN) {
    trouble("The server has forgotten the map of this link; choose the table of points and make the map again.", 15000);
    go({ job: null, layers: [keepLayer(0), keepLayer(1)] }, true);
  }
  if (!result?.layers) return;
  mine.result = result;
  mine.label ??= result.label ?? result.layers[0]?.title;
  byId("prediction-title").textContent = `Map of ${mine.label}`;
  announce(`The map of ${mine.label} is ready. ${(result.words ?? [])[0] ?? ""}`);
  byId("prediction").scrollIntoView({ block: "start", behavior: theme.isStill() ? "auto" : "smooth" });
  if (!state.layers[0]) go({ layers: [`${PREDICTION}${result.layers[0].id}`, state.layers[1]] }, true);
  else showLayers();
}

const jobs = new Map(); // labels by job
async function startJob(body) {
  byId("prediction-title").textContent = `Map of ${body.label}`;
  try {
    const id = await prediction.startJob(body, nameOf(0));
    jobs.set(id, body.label);
    go({ job: id, layers: [null, state.layers[1]] });
    byId("prediction").scrollIntoView({ block: "nearest", behavior: theme.isStill() ? "auto" : "smooth" });
  } catch (error) {
    prediction.showError(error.message);
  }
}

// ---------------------------------------------------------------- words on the screen

function announce(sentence) {
  byId("announcer").textContent = sentence;
}

let statusTimer = 0;
function status(sentence, ms = 0) {
  clearTimeout(statusTimer);
  byId("status").textContent = sentence ?? "";
  show(byId("status"), !!sentence);
  if (ms) statusTimer = setTimeout(() => status(null), ms);
}

/** Show a sentence about what went wrong; it stays for some seconds, or (0) until it is removed. Returns its element. */
function trouble(sentence, ms = 10000) {
  const there = [...byId("trouble").children].find((one) => one.textContent === sentence);
  if (there) return there;
  const line = make("p", {}, sentence);
  byId("trouble").append(line);
  if (ms) setTimeout(() => line.remove(), ms);
  return line;
}

function hideHint() {
  show(byId("hint"), false);
  try {
    localStorage.setItem(SEEN_HINT, "1");
  } catch {
    // shown again next time
  }
}

function showHint() {
  let seen = true;
  try {
    seen = localStorage.getItem(SEEN_HINT) === "1";
  } catch {
    // shown each time
  }
  if (!seen && !state.query) show(byId("hint"));
}

async function shareLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    const image = state.query?.kind === "image" ? " The picture is not part of it." : "";
    status(`The link to this view is copied.${image}`, 4000);
  } catch {
    status("Copy the address of this page; it leads to this view.", 6000);
  }
}

function listenToDrops() {
  let inside = 0;
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => {
    if (carries(event)) inside += 1;
    show(byId("drop-here"), inside > 0);
  });
  addEventListener("dragleave", (event) => {
    if (carries(event)) inside = Math.max(0, inside - 1);
    show(byId("drop-here"), inside > 0);
  });
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    inside = 0;
    show(byId("drop-here"), false);
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    const picture = file.type.startsWith("image/") || /\.(png|jpe?g|webp|tiff?)$/i.test(file.name);
    if (!picture) sendPoints(file);
    else if (asking.takesPictures()) askFor({ kind: "image", file });
    else trouble(`The model ${nameOf(0)} cannot be asked by a picture.`);
  });
}

// ---------------------------------------------------------------- start

let goneLine = null;
function listen() {
  onTrouble({
    waiting: (seconds) => status(`The server is busy; trying again in ${Math.ceil(seconds)} s.`, seconds * 1000 + 500),
    gone: () => {
      goneLine = trouble("The server does not answer. Is geotether serve still running? This page asks again every two seconds.", 0);
    },
    back: () => {
      goneLine?.remove();
      status("The server is back.", 3000);
      shown.key = null;
      if (server) apply();
      else begin();
    },
  });
  theme.listen(byId("theme"), (name) => sides.forEach((side) => side.view.setTheme(name)));
  panel.listen(makeRoom);
  about.listen();
  asking.listen((query) => {
    askFor(query);
    if (query.kind === "place") sides[0]?.view.bring(query.lon, query.lat);
  }, trouble);
  points.listen((id, column) => go({ points: id, column, ...(id === state.points ? {} : { job: null }) }), sendPoints);
  prediction.listen(startJob, () => {
    if (state.job) prediction.dropJob(state.job);
    go({ job: null, layers: [keepLayer(0), keepLayer(1)] });
    prediction.showNone();
  });
  listenToDrops();
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    sides[0]?.view.map.getCanvas().focus();
  });
  byId("clear").addEventListener("click", () => {
    go({ query: null, layers: state.layers.map((id) => (id === SIMILARITY ? null : id)) });
    byId("results-title").focus();
  });
  byId("share").addEventListener("click", shareLink);
  byId("about").addEventListener("click", () => server && about.openAbout(modelOf(0), server.version));
  byId("globe").addEventListener("click", () => go({ globe: !state.globe }));
  byId("compare").addEventListener("click", () => {
    const same = server.models.length < 2;
    const other = modelOf(0).layers[0]?.id ?? NONE;
    go({ compare: !state.compare, layers: state.compare || !same ? state.layers : [state.layers[0], state.layers[1] ?? other] });
  });
  byId("zoom-in").addEventListener("click", () => sides[0]?.view.map.zoomIn());
  byId("zoom-out").addEventListener("click", () => sides[0]?.view.map.zoomOut());
  addEventListener("popstate", (event) => restore(event.state));
}

async function begin() {
  try {
    const [library, told] = await Promise.all([import("./maplibre/maplibre-gl.mjs"), ask("/model")]);
    maplibre = library;
    server = told;
  } catch (error) {
    // When the server is gone, that is on the screen already, and the page begins again when it is back.
    if (!(error instanceof Refusal)) trouble("The map could not be loaded. Reload the page to try again.", 0);
    else if (error.status) trouble(`${error.message} Reload the page to try again.`, 0);
    if (error instanceof Refusal) return;
    throw error;
  }
  registerTiles(maplibre, (error) => error.status && trouble(error.message));
  points.knowTables(server.points ?? []);
  const unknown = state.models.find((name) => name && !server.models.some((one) => one.name === name));
  if (unknown) {
    trouble(`The server has no model ${unknown}; it has ${listed(server.models.map(({ name }) => name))}.`, 15000);
    state.models = state.models.map((name) => (name === unknown ? null : name));
  }
  show(byId("compare"), server.models.length > 1 || modelOf(0).layers.length > 0);
  apply();
  showHint();
  document.body.dataset.ready = "true";
}

listen();
begin();
