// Tables of points on the maps, and maps predicted from them.

import { byId } from "./elements.js";
import { PREDICTION, showLayers } from "./layers.js";
import { announce, hideHint, status, trouble } from "./messages.js";
import { openTab } from "./panel.js";
import * as points from "./points.js";
import * as prediction from "./prediction.js";
import { go, modelOf, session } from "./session.js";
import { isStill } from "./theme.js";
import { count } from "./words.js";

/** Listen to the controls of tables and predictions. */
export function listen() {
  points.listen((id, column) => go({ points: id, column, ...(id === session.state.points ? {} : withoutJob()) }), sendPoints);
  prediction.listen(startJob, () => {
    if (session.state.job) prediction.dropJob(session.state.job);
    go(withoutJob());
    prediction.showNone();
  });
}

let refused = null;

/** Send a file of points to the server and show it; remove the error of an earlier file. */
export async function sendPoints(file) {
  hideHint();
  openTab("data");
  refused?.remove();
  status(`Reading ${file.name} …`);
  try {
    const table = await points.sendFile(file);
    status(null);
    go({ points: table.id, column: points.firstColumn(table), ...withoutJob() });
    announce(`${table.name}: ${count(table.rows)} points are on the map.`);
    if (table.bounds) session.sides[0].view.fit(table.bounds);
  } catch (error) {
    status(null);
    refused = trouble(error.message);
  }
}

/** Show the table and the column of the state. */
export async function showPoints() {
  const { sides, state } = session;
  const job = jobOfPoints();
  const key = state.points && state.column ? JSON.stringify([state.points, state.column, job]) : null;
  points.offerTables(state.points, state.column);
  prediction.offerLabels(points.tableOf(state.points));
  if ((session.points?.key ?? null) === key) {
    if (session.points?.data) for (const side of sides) draw(side, key);
    return;
  }
  session.points = key ? { key, job, data: null } : null;
  if (!key) {
    for (const side of sides) draw(side, null);
    return;
  }
  try {
    const data = await points.fetchPoints(state.points, state.column, job);
    if (session.points?.key !== key) return;
    session.points.data = data;
    for (const side of sides) draw(side, key);
    showLayers();
  } catch (error) {
    trouble(error.message);
    if (error.status === 404) go({ points: null, column: null }, true);
  }
}

/** Follow the prediction of the state, and show its layers when it is done. */
export async function showJob() {
  const { state } = session;
  if (state.job === session.job.id) return;
  session.job.stop?.abort();
  const job = { id: state.job, result: null, stop: new AbortController() };
  session.job = job;
  if (!state.job) {
    prediction.showNone();
    return;
  }
  openTab("data");
  const result = await prediction.followJob(state.job, job.stop.signal);
  if (session.job !== job) return;
  if (result === prediction.FORGOTTEN) {
    trouble("The server has forgotten the map of this link; choose the table of points and make the map again.", 15000);
    go(withoutJob(), true);
  }
  if (!result?.layers) return;
  job.result = result;
  showPoints();
  announce(`The map of ${result.label} is ready. ${result.words[0] ?? ""}`);
  byId("prediction").scrollIntoView({ block: "start", behavior: isStill() ? "auto" : "smooth" });
  if (session.state.layers[0]) showLayers();
  else go({ layers: [PREDICTION + result.layers[0].id, session.state.layers[1]] }, true);
}

async function startJob(body) {
  byId("prediction-title").textContent = `Map of ${body.label}`;
  try {
    const id = await prediction.startJob(body, modelOf(0).name);
    go({ job: id, column: body.label, layers: [null, session.state.layers[1]] });
    byId("prediction").scrollIntoView({ block: "end", behavior: isStill() ? "auto" : "smooth" });
  } catch (error) {
    prediction.showError(error.message);
  }
}

// The map whose colours the points take, so that both can be compared.
function jobOfPoints() {
  const { job: { id, result }, state } = session;
  return result?.label === state.column && result?.points === state.points ? id : null;
}

function withoutJob() {
  const layers = session.state.layers.map((id) => (id?.startsWith(PREDICTION) ? null : id));
  return { job: null, layers };
}

function draw(side, key) {
  if (side.points === key) return;
  side.points = key;
  side.view.draw(key ? session.points.data : null);
}
