// State shared by the modules of the page, and the functions that change it.

import { readState, writeState } from "./address.js";

const files = new Map(); // pictures by number, for the back button

/** Shared by the modules of the page; only `go`, `restore` and `keepView` change `state`. */
export const session = {
  state: readState(location.hash),
  server: null, // what /model says
  maplibre: null, // the map library
  sides: [], // one or two maps
  listed: 0, // the side whose answers are listed
  points: null, // points on the maps: {key, data}
  job: { id: null, result: null, stop: null },
  apply: () => {}, // updates the screen
};

/** Change the state; a new entry of the history unless `replace`. */
export function go(change, replace = false) {
  session.state = { ...session.state, ...change };
  const { query } = session.state;
  const entry = { image: query?.kind === "image" ? query.number : null };
  history[replace ? "replaceState" : "pushState"](entry, "", writeState(session.state));
  session.apply();
}

/** Take the state from the address, as after the back button. */
export function restore(entry) {
  session.state = readState(location.hash);
  const number = entry?.image;
  if (files.has(number)) session.state.query = { kind: "image", number, file: files.get(number) };
  session.apply();
}

/** Put a view into the address, without an entry of the history. */
export function keepView(view) {
  session.state = { ...session.state, view };
  history.replaceState(history.state, "", writeState(session.state));
}

/** Keep a picture; returns its number. */
export function keepFile(file) {
  const number = files.size + 1;
  files.set(number, file);
  return number;
}

/** The model of a side (0 or 1): the chosen one, else the first; on the second side another one if there is one. */
export function modelOf(i) {
  const { models } = session.server;
  const named = (place) => models.find(({ name }) => name === session.state.models[place]);
  const first = named(0) ?? models[0];
  return i === 0 ? first : named(1) ?? models.find((one) => one !== first) ?? first;
}

/** A copy of a list with another value for one side. */
export function withSide(list, i, value) {
  return list.map((one, place) => (place === i ? value : one));
}
