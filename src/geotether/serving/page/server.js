// Requests to the server: retries while it is busy, errors as sentences.

const TRIES = 5;
const LONGEST_WAIT_S = 20;
const ASK_AGAIN_MS = 2000;
const AT_ONCE = 6; // as browsers do over HTTP/1.1; over HTTP/2 the server would refuse some, as it limits each client

const listeners = { waiting: () => {}, gone: () => {}, back: () => {} };
const waiting = [];
let running = 0;
let gone = false;

/** A refusal of the server, as a sentence. */
export class Refusal extends Error {
  constructor(sentence, status = 0, field = "") {
    super(sentence);
    this.status = status;
    this.field = field;
  }
}

/** Set the handlers for a server that is busy (`waiting(seconds)`), does not answer (`gone`) or answers again (`back`). */
export function onTrouble(handlers) {
  Object.assign(listeners, handlers);
}

/** The address of a path of the server, with parameters; those without a value are left out. */
export function addressOf(path, parameters = {}) {
  const url = new URL(path.replace(/^\//, ""), document.baseURI);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url.href;
}

/** Ask the server and return JSON; throws a Refusal with a sentence, or an AbortError. */
export async function ask(path, { parameters, ...options } = {}) {
  const response = await request(addressOf(path, parameters), options);
  return response.status === 204 ? null : response.json();
}

/** Fetch an address; retry after the time that a busy server names. */
export async function request(url, options = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await reach(url, options);
    if (response.ok) return response;
    const wait = Number(response.headers.get("Retry-After"));
    if ([429, 503].includes(response.status) && attempt < TRIES) {
      const seconds = Math.min(Math.max(wait || attempt, 0.2), LONGEST_WAIT_S);
      listeners.waiting(seconds);
      await pause(seconds * 1000, options.signal);
      continue;
    }
    const { error, field } = await detail(response);
    throw new Refusal(error, response.status, field);
  }
}

async function reach(url, options) {
  try {
    const response = await inTurn(() => fetch(url, options));
    found();
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!gone) {
      gone = true;
      listeners.gone();
      setTimeout(lookAgain, ASK_AGAIN_MS);
    }
    throw new Refusal("The server does not answer.", 0);
  }
}

async function inTurn(run) {
  if (running >= AT_ONCE) await new Promise((go) => waiting.push(go));
  else running += 1;
  try {
    return await run();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
}

function found() {
  if (!gone) return;
  gone = false;
  listeners.back();
}

function lookAgain() {
  fetch(addressOf("/health")).then(found, () => setTimeout(lookAgain, ASK_AGAIN_MS));
}

async function detail(response) {
  const busy = "The server is busy; try again in a moment.";
  const plain = response.status === 429 ? busy : `The server could not do this (error ${response.status}).`;
  try {
    const { detail: told } = await response.json();
    if (told?.error) return told;
    if (Array.isArray(told) && told[0]?.msg) return { error: `${(told[0].loc ?? []).slice(1).join(" ")}: ${told[0].msg}.` };
    return { error: typeof told === "string" ? told : plain };
  } catch {
    return { error: plain };
  }
}

function pause(ms, signal) {
  return new Promise((done, fail) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      fail(new DOMException("Aborted", "AbortError"));
    });
  });
}
