// The one or two maps: made on demand, moved together, with one pointer.

import { emphasise as emphasiseRow, openRow } from "./answers.js";
import { byId } from "./elements.js";
import { PREDICTION } from "./layers.js";
import { trouble } from "./messages.js";
import { paddingOf, pull } from "./panel.js";
import { askFor, list } from "./search.js";
import { go, keepView, modelOf, session, withSide } from "./session.js";
import { Side } from "./side.js";
import * as theme from "./theme.js";

const KEEP_VIEW_MS = 250;
const shown = { compare: null, globe: null };
let timer = 0;

/** Make or remove maps until their number matches the state. */
export function arrangeMaps() {
  const { sides, state } = session;
  const wanted = state.compare ? 2 : 1;
  while (sides.length > wanted) sides.pop().remove();
  while (sides.length < wanted) sides.push(makeSide(sides.length));
  if (session.listed >= sides.length) session.listed = 0;
  document.body.classList.toggle("comparing", state.compare);
  byId("compare").setAttribute("aria-pressed", String(state.compare));
  byId("globe").setAttribute("aria-pressed", String(state.globe));
  if (shown.compare !== state.compare) {
    for (const side of sides) side.view.map.resize();
    if (state.compare) pull("peek", makeRoom);
    makeRoom();
  }
  if (shown.globe !== state.globe) for (const side of sides) side.view.ready.then(() => side.view.setGlobe(state.globe));
  shown.compare = state.compare;
  shown.globe = state.globe;
  const names = session.server.models.map(({ name }) => name);
  sides.forEach((side, i) => side.offerModels(names, modelOf(i).name));
}

/** Keep the middle of the map clear of the panel. */
export function makeRoom() {
  session.sides[0]?.view.setPadding(paddingOf(session.state.compare));
}

/** Show the view of the state, as after the back button. */
export function showView() {
  const { sides, state } = session;
  const now = sides[0]?.view.state();
  const same = (a, b) => Math.abs(a - b) < 0.002;
  if (!now || !state.view || (same(now.lon, state.view.lon) && same(now.lat, state.view.lat) && same(now.zoom, state.view.zoom))) return;
  sides[0].view.jump(state.view);
}

/** Emphasise an answer of a side on its map and in the list. */
export function emphasise(i, rank) {
  session.sides[i]?.view.emphasise(rank);
  if (i === session.listed) emphasiseRow(rank);
}

function makeSide(i) {
  const { maplibre, sides, state } = session;
  const other = () => sides[1 - i];
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
        openRow(rank, true);
      },
      hover: (rank) => emphasise(i, rank),
      baseFailed: () => trouble("Part of the base map could not be loaded; reload the page to try again."),
      point: (lonlat) => other()?.view.showGhost(lonlat),
      moved: (view) => {
        clearTimeout(timer);
        timer = setTimeout(() => keepView(view), KEEP_VIEW_MS);
      },
      model: (name) => chooseModel(i, name),
      layer: (id) => go({ layers: withSide(session.state.layers, i, id) }),
      opacity: (opacity) => go({ opacity }, true),
      mask: (mask) => go({ mask }, true),
    },
  });
  side.view.map.on("move", () => follow(side, other()));
  return side;
}

// A prediction belongs to one model, so its layers are not shown with another.
function chooseModel(i, name) {
  const { layers, models } = session.state;
  const layer = layers[i]?.startsWith(PREDICTION) ? null : layers[i];
  go({ models: withSide(models, i, name), layers: withSide(layers, i, layer) });
}

function follow(side, other) {
  if (!other || other.leads) return;
  side.leads = true;
  const { lng, lat } = side.view.map.getCenter();
  other.view.jump({ lon: lng, lat, zoom: side.view.map.getZoom() });
  side.leads = false;
}
