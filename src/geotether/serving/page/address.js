// The state of the page and its form in the address (after #, so that it is never sent to the server).

const WHEN_EMPTY = {
  models: [null, null], // names of the left and the right model; null is the first of the server
  layers: [null, null], // ids of layers; null is similarity if there is a query, else none
  opacity: 0.8,
  view: null, // {lon, lat, zoom}
  globe: false,
  compare: false,
  query: null, // {kind: "place", lon, lat} | {kind: "text", text, modality} | {kind: "columns", columns, modality}
  points: null, // id of a table of points
  column: null, // its column that is shown
  job: null, // id of a prediction
  mask: true, // whether a prediction is masked where it does not apply
};

/** Read a state from the part of an address after #; invalid values become defaults. */
export function readState(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const state = structuredClone(WHEN_EMPTY);
  const numbers = (name, size) => {
    const values = (given.get(name) ?? "").split(",").map(Number);
    return given.has(name) && values.length === size && values.every(Number.isFinite) ? values : null;
  };
  state.models = [given.get("model"), given.get("model2")];
  state.layers = [given.get("layer"), given.get("layer2")];
  state.compare = given.has("compare");
  state.globe = given.has("globe");
  state.points = given.get("points");
  state.column = given.get("column");
  state.job = given.get("job");
  state.mask = given.get("mask") !== "0";
  const opacity = numbers("opacity", 1);
  if (opacity) state.opacity = Math.min(Math.max(opacity[0], 0), 1);
  const view = numbers("view", 3);
  if (view && Math.abs(view[1]) <= 90) state.view = { lon: view[0], lat: view[1], zoom: view[2] };
  state.query = readQuery(given, numbers("place", 2));
  return state;
}

function readQuery(given, lonlat) {
  if (lonlat && Math.abs(lonlat[1]) <= 90) return { kind: "place", lon: lonlat[0], lat: lonlat[1] };
  const modality = given.get("modality");
  if (given.get("text")) return { kind: "text", text: given.get("text"), modality };
  try {
    const columns = JSON.parse(given.get("values"));
    if (columns && typeof columns === "object" && !Array.isArray(columns)) return { kind: "columns", columns, modality };
  } catch {
    // not JSON: no query
  }
  return null;
}

/** Write a state as the part of an address after #, without default values. */
export function writeState(state) {
  const out = new URLSearchParams();
  const put = (name, value) => value != null && value !== "" && out.set(name, value);
  const query = state.query;
  if (query?.kind === "place") put("place", `${round(query.lon, 4)},${round(query.lat, 4)}`);
  if (query?.kind === "text") put("text", query.text);
  if (query?.kind === "columns") put("values", JSON.stringify(query.columns));
  if (query) put("modality", query.modality);
  put("model", state.models[0]);
  put("layer", state.layers[0]);
  if (state.compare) {
    out.set("compare", "1");
    put("model2", state.models[1]);
    put("layer2", state.layers[1]);
  }
  if (state.opacity !== WHEN_EMPTY.opacity) put("opacity", round(state.opacity, 2));
  put("points", state.points);
  put("column", state.column);
  put("job", state.job);
  if (!state.mask) put("mask", "0");
  if (state.globe) put("globe", "1");
  if (state.view) put("view", `${round(state.view.lon, 3)},${round(state.view.lat, 3)},${round(state.view.zoom, 2)}`);
  return `#${out.toString().replaceAll("%2C", ",")}`;
}

function round(value, digits) {
  return Number(value.toFixed(digits));
}
