// Which layers each map offers, and which one it shows.

import { tableOf } from "./points.js";
import { modelOf, session } from "./session.js";
import { NONE, SIMILARITY } from "./side.js";

/** Prefix of the ids of a prediction's layers. */
export const PREDICTION = "prediction.";
const MASK = "outside";

/** Show on every map the layer that the state asks for, or none if there is no such layer. */
export function showLayers() {
  session.sides.forEach((side, i) => {
    const groups = groupsOf(side, i);
    const all = groups.flatMap(([, layers]) => layers);
    const wanted = session.state.layers[i] ?? (session.state.query ? SIMILARITY : NONE);
    const chosen = all.find(({ id, disabled }) => id === wanted && !disabled) ?? all[0];
    side.offerLayers(groups, chosen.id);
    const layer = chosen.tiles ? chosen : null;
    side.showLayer(layer, {
      opacity: session.state.opacity,
      mask: chosen.id.startsWith(PREDICTION) ? session.job.result.layers.find(({ id }) => id === MASK) : null,
      masked: session.state.mask,
      extra: legendOfPoints(chosen.id),
      waiting: !!session.state.query && !side.answer && !side.refused,
      done: () => i === 0 && layer?.id === SIMILARITY && markDrawn(),
    });
  });
}

function groupsOf(side, i) {
  const { job, state } = session;
  const { layers, name } = modelOf(i);
  const similarity = { ...side.answer?.layer, ...side.expected, id: SIMILARITY, title: "Similarity", disabled: !state.query };
  const groups = [[null, [{ id: NONE, title: "No layer" }, similarity, ...layers]]];
  if (job.result?.model === name) {
    const predicted = job.result.layers.filter(({ id }) => id !== MASK);
    groups.push([`Map of ${job.result.label}`, predicted.map((one) => ({ ...one, id: PREDICTION + one.id }))]);
  }
  return groups;
}

function legendOfPoints(layer) {
  const { points, state } = session;
  const same = points?.job && layer === `${PREDICTION}value`; // the points have the colours of the layer
  if (!points?.data?.legend || same) return [];
  return [{ title: `Points: ${state.column} of ${tableOf(state.points)?.name ?? "a table"}`, legend: points.data.legend }];
}

// For measurements: when the layer of a query is seen.
function markDrawn() {
  if (!performance.getEntriesByName("layer").length) performance.mark("layer");
}
