// A map of a label: the form, the progress and the result.

import { byId, fillSelect, make, show } from "./elements.js";
import { ask } from "./server.js";
import * as words from "./words.js";

const ASK_EVERY_MS = 700;

/** What `followJob` returns for a job that the server does not know. */
export const FORGOTTEN = "forgotten";

let table = null;

/** Offer the columns of a table that can be a label. */
export function offerLabels(points) {
  table = points ?? null;
  show(byId("predict-form"), !!points);
  if (!points) return;
  const usable = points.columns.filter((one) => one.usable_as_label);
  fillSelect(byId("predict-label"), usable.map(({ name }) => [name, name]));
  byId("predict-submit").disabled = !usable.length;
  sayWhy();
}

/** Call `start(body)` when the form is submitted, `drop()` when the map is to be removed. */
export function listen(start, drop) {
  byId("predict-label").addEventListener("change", sayWhy);
  byId("predict-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const unit = byId("predict-unit").value.trim();
    const kind = byId("predict-kind").value;
    const level = Number(byId("predict-level").value);
    start({ points: table.id, label: byId("predict-label").value, level, ...(unit && { unit }), ...(kind && { kind }) });
  });
  byId("prediction-drop").addEventListener("click", drop);
}

/** Start a prediction; returns the id of the job. */
export async function startJob(body, model) {
  const { job } = await ask("/predict", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, model }),
  });
  return job;
}

/** Stop a job and let the server forget it. */
export function dropJob(job) {
  return ask(`/predict/${encodeURIComponent(job)}`, { method: "DELETE" }).catch(() => null);
}

/** Follow a job until it ends; shows its progress and returns the result, or null if it was stopped. */
export async function followJob(job, signal) {
  show(byId("prediction"));
  byId("prediction-body").replaceChildren();
  showProgress({ state: "waiting", step: "Asking the server" });
  try {
    for (;;) {
      const result = await ask(`/predict/${encodeURIComponent(job)}`, { signal });
      const ended = ["done", "failed"].includes(result.state);
      showProgress(ended ? null : result);
      showResult(result);
      if (ended) return result.state === "done" ? result : null;
      await new Promise((next) => setTimeout(next, ASK_EVERY_MS));
    }
  } catch (error) {
    if (error.name === "AbortError") return null;
    if (error.status === 404) return FORGOTTEN;
    showError(error.message);
    return null;
  }
}

/** Show a sentence in place of a result. */
export function showError(sentence) {
  show(byId("prediction"));
  showProgress(null);
  byId("prediction-body").replaceChildren(make("p", { class: "refusal", role: "alert" }, sentence));
}

/** Show no prediction. */
export function showNone() {
  show(byId("prediction"), false);
  byId("prediction-body").replaceChildren();
}

function showProgress(result) {
  byId("prediction").setAttribute("aria-busy", String(!!result));
  show(byId("prediction-progress"), !!result);
  const said = result?.step || (result?.state === "waiting" ? "Waiting for another map" : "Working");
  if (byId("prediction-step").textContent !== said) byId("prediction-step").textContent = said;
}

// Show what is known so far; scores come before the layers.
function showResult(result) {
  if (result.state === "failed") return showError(result.error);
  const parts = [];
  byId("prediction-title").textContent = `Map of ${result.label}`;
  if (result.score) parts.push(scoreBox(result.score, result.baselines ?? {}, result.beats_baselines));
  for (const sentence of result.words) parts.push(make("p", { class: "sentence" }, sentence));
  for (const sentence of result.notes) parts.push(make("p", { class: "warning" }, sentence));
  if (result.state === "done") parts.push(make("p", { class: "muted small" }, "The layers of this map are in the list of layers on the map."));
  return byId("prediction-body").replaceChildren(...parts);
}

function scoreBox(score, baselines, beats) {
  const range = ({ low, high }) => (low == null ? "" : `${low.toFixed(3)} to ${high.toFixed(3)}`);
  const others = Object.entries(baselines).map(([name, one]) => make("li", {}, `${words.named(name)}: `, make("strong", {}, one.mean.toFixed(3)), make("span", { class: "muted" }, ` ${range(one)}`)));
  return make(
    "div",
    { class: "score", "data-beats": String(!!beats) },
    make("p", { class: "big" }, make("strong", {}, score.mean.toFixed(3)), ` ${score.metric}`),
    make("p", { class: "muted small" }, `on places that were held out${score.low == null ? "" : `, ${range(score)}`}`),
    others.length ? make("p", { class: "muted small" }, "Without the encoder:") : null,
    others.length ? make("ul", { class: "observations" }, ...others) : null,
  );
}

function sayWhy() {
  const column = table?.columns.find((one) => one.name === byId("predict-label").value);
  const unusable = table?.columns.filter((one) => !one.usable_as_label) ?? [];
  const said = column ? `${words.count(column.values)} different values. ` : "No column can be a label. ";
  const why = unusable.map((one) => make("li", {}, `${one.name}: ${one.why || "cannot be a label"}`));
  const box = why.length && make("details", {}, make("summary", {}, why.length === 1 ? "1 column is left out" : `${why.length} columns are left out`), make("ul", { class: "observations" }, ...why));
  byId("predict-why").replaceChildren(said, ...(box ? [box] : []));
}
