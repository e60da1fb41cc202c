// The forms for queries: words or coordinates, a picture, values of columns.

import { byId, fillSelect, make, show } from "./elements.js";
import { listed, named } from "./words.js";

let current = { text: [], image: [], columns: {} }; // what the model takes

/** Offer the kinds of queries that a model takes; `asks` is {text: [...], image: [...], columns: {modality: [...]}}. */
export function offerWays(asks) {
  current = asks;
  const texts = asks.text;
  const columns = Object.keys(asks.columns);
  byId("search-label").textContent = texts.length ? "Words, or a longitude and latitude" : "Longitude and latitude";
  byId("search-text").placeholder = texts.length ? "fishing village" : "5.66, 51.97";
  fillSelect(byId("search-modality"), texts.map((name) => [name, named(name)]));
  show(byId("search-modality-row"), texts.length > 1);
  show(byId("picture-choose"), asks.image.length > 0);
  byId("picture-choose").title = `A picture like those that the model was trained on: ${listed(asks.image.map(named))}`;
  show(byId("values-open"), columns.length > 0);
  fillSelect(byId("values-modality"), columns.map((name) => [name, named(name)]));
  show(byId("values-modality-row"), columns.length > 1);
  if (!columns.length) toggleValues(false);
  offerColumns();
}

/** Whether the model takes pictures. */
export function takesPictures() {
  return current.image.length > 0;
}

/** Put a query into the forms, as after opening a link. */
export function recall(query) {
  if (query?.kind === "text") byId("search-text").value = query.text;
  else if (!query || document.activeElement !== byId("search-text")) byId("search-text").value = "";
  if (query?.modality && query.kind === "text") byId("search-modality").value = query.modality;
  if (query?.kind !== "columns") return;
  if (query.modality) byId("values-modality").value = query.modality;
  offerColumns();
  for (const field of byId("values-fields").querySelectorAll("input")) field.value = query.columns[field.name] ?? "";
}

/** Call `ask(query)` when a form is submitted, `refuse(sentence)` if the model cannot answer it. */
export function listen(ask, refuse) {
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("search-text").value.trim();
    if (!text) return byId("search-text").focus();
    const place = coordinatesOf(text);
    if (place) return ask(place);
    if (!current.text.length) return refuse("Enter a longitude and a latitude, such as 5.66, 51.97; this model was not trained on words.");
    const several = current.text.length > 1;
    return ask({ kind: "text", text, modality: several ? byId("search-modality").value : null });
  });
  byId("picture-choose").addEventListener("click", () => byId("picture-file").click());
  byId("picture-file").addEventListener("change", ({ target }) => {
    if (target.files[0]) ask({ kind: "image", file: target.files[0] });
    target.value = "";
  });
  byId("values-open").addEventListener("click", () => toggleValues(byId("values-form").hidden));
  byId("values-modality").addEventListener("change", offerColumns);
  byId("values-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = [...byId("values-fields").querySelectorAll("input")].filter((one) => one.value.trim());
    if (!fields.length) return byId("values-fields").querySelector("input")?.focus();
    const columns = Object.fromEntries(fields.map((one) => [one.name, valueOf(one.value.trim())]));
    const several = Object.keys(current.columns).length > 1;
    return ask({ kind: "columns", columns, modality: several ? byId("values-modality").value : null });
  });
}

function toggleValues(open) {
  show(byId("values-form"), open);
  byId("values-open").setAttribute("aria-expanded", String(open));
  if (open) byId("values-fields").querySelector("input")?.focus();
}

function offerColumns() {
  const columns = current.columns[byId("values-modality").value] ?? [];
  byId("values-fields").replaceChildren(...columns.map((name) => make("label", {}, make("span", {}, name), make("input", { name, autocomplete: "off", placeholder: "unknown" }))));
}

// Parse two numbers as longitude and latitude, or in the order that their letters give (51.97 N, 5.66 E).
function coordinatesOf(text) {
  const parts = /^(-?\d+(?:\.\d+)?)\s*°?\s*([NSEW])?\s*[,;\s]\s*(-?\d+(?:\.\d+)?)\s*°?\s*([NSEW])?$/i.exec(text);
  if (!parts) return null;
  let [lon, lat] = [Number(parts[1]), Number(parts[3])];
  let [first, second] = [parts[2] ?? "E", parts[4] ?? "N"].map((letter) => letter.toUpperCase());
  if (parts[2] && "NS".includes(first)) [lon, lat, first, second] = [lat, lon, parts[4] ? second : "E", first];
  return { kind: "place", lon: first === "W" ? -lon : lon, lat: second === "S" ? -lat : lat };
}

function valueOf(text) {
  return Number.isFinite(Number(text)) ? Number(text) : text;
}
