// Tables of points: sending one to the server, and showing it by one of its columns.

import { byId, fillSelect, show } from "./elements.js";
import { ask } from "./server.js";
import { count, listed } from "./words.js";

const tables = new Map();

/** The table with an id, or undefined. */
export function tableOf(id) {
  return tables.get(id);
}

/** Add tables that the server has. */
export function knowTables(all) {
  for (const one of all) tables.set(one.id, one);
  offerTables(null);
}

/** The column to show first: a numeric label, else any label, else the last number, since coordinates and identifiers come first. */
export function firstColumn(table) {
  const labels = table.columns.filter(({ usable_as_label: usable }) => usable);
  const isNumber = ({ kind }) => kind === "number";
  const first = labels.find(isNumber) ?? labels[0] ?? table.columns.findLast(isNumber);
  return (first ?? table.columns.find(({ kind }) => kind !== "other"))?.name ?? null;
}

/** Call `chosen(id, column)` when a table or column is chosen, `send(file)` for a file. */
export function listen(chosen, send) {
  byId("points-choose").addEventListener("click", () => byId("points-file").click());
  byId("points-file").addEventListener("change", ({ target }) => {
    if (target.files[0]) send(target.files[0]);
    target.value = "";
  });
  byId("points-table").addEventListener("change", ({ target }) => {
    const table = tables.get(target.value);
    chosen(table?.id ?? null, table ? firstColumn(table) : null);
  });
  byId("points-column").addEventListener("change", ({ target }) => chosen(byId("points-table").value, target.value));
}

/** Send a file; returns the table as the server describes it. */
export async function sendFile(file) {
  const body = new FormData();
  body.append("file", file, file.name);
  const table = await ask("/points", { method: "POST", body });
  tables.set(table.id, table);
  return table;
}

/** Show which table and column are chosen. */
export function offerTables(id, column) {
  const table = tables.get(id);
  show(byId("points"), tables.size > 0);
  fillSelect(byId("points-table"), [["", "none"], ...[...tables.values()].map((one) => [one.id, `${one.name} (${count(one.rows)} points)`])], table ? id : "");
  const shown = (table?.columns ?? []).filter(({ kind }) => kind !== "other");
  fillSelect(byId("points-column"), shown.map(({ name }) => [name, name]), column ?? "");
  byId("points-column").disabled = !table;
  byId("points-note").textContent = table ? noteOf(table) : "";
  show(byId("points-note"), !!table);
}

/** The points as GeoJSON with values of a column, colours and a legend; with `job`, in the colours of that map. */
export function fetchPoints(id, column, job) {
  return ask(`/points/${encodeURIComponent(id)}`, { parameters: { column, job } });
}

function noteOf(table) {
  const kinds = { number: "numbers", text: "texts", flag: "yes or no" };
  const numbers = Object.entries(kinds).map(([kind, said]) => [table.columns.filter((one) => one.kind === kind).length, said]);
  return `${count(table.rows)} points; columns: ${listed(numbers.filter(([n]) => n).map(([n, said]) => `${n} of ${said}`))}. ${table.notes.join(" ")}`;
}
