// The page: starts, listens to its controls, and updates the screen when the state changes.

import * as about from "./about.js";
import * as asking from "./asking.js";
import { byId, show } from "./elements.js";
import * as files from "./files.js";
import { showLayers } from "./layers.js";
import { arrangeMaps, makeRoom, showView } from "./maps.js";
import { showHint, status, trouble } from "./messages.js";
import { registerTiles } from "./overlay.js";
import * as panel from "./panel.js";
import { knowTables } from "./points.js";
import { askFor, clearSearch, search } from "./search.js";
import { Refusal, ask, onTrouble } from "./server.js";
import { go, modelOf, restore, session } from "./session.js";
import { NONE } from "./side.js";
import * as tables from "./tables.js";
import * as theme from "./theme.js";
import { listed } from "./words.js";

const LONG_MS = 15000;
const LINKED = new Set(["place", "text", "values", "view", "model", "layer", "points", "column", "job"]);
let offered = null; // the model whose forms are shown
let goneLine = null;

function apply() {
  if (!session.server || !session.maplibre) return;
  arrangeMaps();
  offerWays();
  search();
  tables.showPoints();
  tables.showJob();
  showLayers();
}

function offerWays() {
  const model = modelOf(0);
  if (offered === model) return;
  offered = model;
  asking.offerWays(model.asks);
  asking.recall(session.state.query);
  document.title = `geotether · ${model.name}`;
}

function listen() {
  const map = () => session.sides[0]?.view.map;
  theme.listen(byId("theme"), (name) => session.sides.forEach((side) => side.view.setTheme(name)));
  panel.listen(makeRoom);
  about.listen();
  asking.listen((query) => askFor(query, true), trouble);
  tables.listen();
  files.listen();
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    map()?.getCanvas().focus();
  });
  byId("clear").addEventListener("click", clearSearch);
  byId("share").addEventListener("click", shareLink);
  byId("about").addEventListener("click", () => session.server && about.openAbout(modelOf(0), session.server.version));
  byId("globe").addEventListener("click", () => go({ globe: !session.state.globe }));
  byId("compare").addEventListener("click", compare);
  byId("zoom-in").addEventListener("click", () => map()?.zoomIn());
  byId("zoom-out").addEventListener("click", () => map()?.zoomOut());
  addEventListener("popstate", ({ state }) => {
    restore(state);
    showView();
    tellWhatIsLost();
  });
  onTrouble({
    waiting: (seconds) => status(`The server is busy; trying again in ${Math.ceil(seconds)} s.`, seconds * 1000 + 500),
    gone: () => {
      goneLine = trouble("The server does not answer. Is geotether serve still running? This page tries again every two seconds.", 0);
    },
    back: () => {
      goneLine?.remove();
      status("The server is back.", 3000);
      if (!session.server) begin();
      else search(true).then(showLayers);
    },
  });
}

// With one model the second map shows another layer of it.
function compare() {
  const { compare: before, layers } = session.state;
  const other = session.server.models.length > 1 ? null : modelOf(0).layers[0]?.id ?? NONE;
  go({ compare: !before, layers: before ? layers : [layers[0], layers[1] ?? other] });
}

async function shareLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    const image = session.state.query?.kind === "image" ? " It does not contain the picture." : "";
    status(`The link to this view has been copied.${image}`, 4000);
  } catch {
    status("Copy the address of this page: it opens this view.", 6000);
  }
}

async function begin() {
  try {
    [session.maplibre, session.server] = await Promise.all([import("./maplibre/maplibre-gl.mjs"), ask("/model")]);
  } catch (error) {
    // If the server does not answer, `onTrouble` has shown it, and calls `begin` again when it does.
    if (!(error instanceof Refusal)) trouble("The map could not be loaded. Reload the page to try again.", 0);
    else if (error.status) trouble(`${error.message} Reload the page to try again.`, 0);
    if (error instanceof Refusal) return;
    throw error;
  }
  registerTiles(session.maplibre, (error) => error.status && trouble(error.message));
  knowTables(session.server.points);
  const { models } = session.server;
  const unknown = session.state.models.find((name) => name && !models.some((one) => one.name === name));
  if (unknown) trouble(`The server has no model ${unknown}; it has ${listed(models.map(({ name }) => name))}.`, LONG_MS);
  show(byId("compare"), models.length > 1 || modelOf(0).layers.length > 0);
  try {
    apply();
  } catch (error) {
    if (session.sides.length) throw error;
    trouble("This browser cannot draw the map: it has no WebGL, or WebGL is switched off.", 0);
    return;
  }
  if (!session.state.query) showHint();
  tellWhatIsLost();
  document.body.dataset.ready = "true";
}

// What a link or a reload does not bring back.
function tellWhatIsLost() {
  if (history.state?.image && session.state.query?.kind !== "image") trouble("The picture that was searched by is not kept when the page is loaded again; choose it again.");
  const ignored = [...new URLSearchParams(location.search).keys()].filter((name) => LINKED.has(name));
  if (ignored.length) trouble(`${listed(ignored)} in the address must stand after #, not after ?, as in links that this page copies.`, LONG_MS);
}

session.apply = apply;
listen();
begin();
