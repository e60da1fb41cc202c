// The dialog about a model: its facts and its card.

import { byId, make } from "./elements.js";
import * as words from "./words.js";

/** Open the dialog about a model. */
export function openAbout(model, version) {
  const { text, image, columns } = model.asks;
  const taken = [text.length && "words", image.length && "pictures", Object.keys(columns).length && "values of columns"].filter(Boolean);
  const facts = [
    ["Model", model.name],
    ["Numbers per place", words.count(model.dim)],
    ["Trained on", words.listed(model.modalities.map(words.named))],
    ["Accepts", words.listed(["places", ...taken])],
    ["Places compared", `${words.count(model.places)}, ${words.distance(model.spacing_km)} apart`],
    ["Similarity halves over", model.effective_resolution_km && `about ${words.distance(model.effective_resolution_km)}`],
    ["Licence", model.licence],
    ["geotether", version],
  ].filter(([, value]) => value);
  const card = model.card && make("details", {}, make("summary", {}, "Model card"), make("pre", { tabindex: "0" }, model.card));
  byId("about-body").replaceChildren(
    ...(model.description ? [make("p", {}, model.description)] : []),
    make("dl", { class: "about" }, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))])),
    ...(card ? [card] : []),
    make("p", { class: "muted small" }, "Base map: Natural Earth. Map drawn with MapLibre GL JS. Nothing on this page is fetched from other servers."),
  );
  byId("about-dialog").showModal();
}

/** Close the dialog by its button or by a click outside it. */
export function listen() {
  const dialog = byId("about-dialog");
  byId("about-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
