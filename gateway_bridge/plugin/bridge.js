/** Calls to the sidecar, over one link at a time that is made anew for as long as it takes. */

import { readFile } from "node:fs/promises";
import { BridgeError, fromWire, linkError } from "./errors.js";
import { Link, PROTOCOL } from "./link.js";

const MIB = 1024 * 1024;

export const LIMITS = Object.freeze({
  /** Calls waiting for their answer, or for a link. */
  inFlight: 256,
  /** Of one request, as JSON. */
  requestBytes: 4 * MIB,
  /** Unsent bytes of the socket, beyond which calls are refused, and a peer that asks is left. */
  sendBufferBytes: 8 * MIB,
  /** From call to answer. */
  callMs: 30_000,
  /** As `callMs`, of a prompt hook: an agent's turn waits for it. */
  promptMs: 2_000,
  /** As `callMs`, of the check of a tool call. */
  checkMs: 12_000,
  /** How long a call waits for a link before it is refused. */
  connectGraceMs: 1_500,
  /**
   * The same, of what an agent does: to a model a refusal is an answer, and it will not ask again
   * when the sidecar has been started anew.  The Gateway gives a check 15 s.
   */
  agentGraceMs: 10_000,
  /** From opening the socket to the answered hello. */
  helloMs: 5_000,
  /** Silence after which we ask whether the sidecar lives. */
  pingMs: 5_000,
  reconnectMinMs: 100,
  reconnectMaxMs: 5_000,
  /** Between attempts once the sidecar has said no. */
  refusedMs: 10_000,
});

/** @typedef {{[name in keyof typeof LIMITS]: number}} Limits */
/** @typedef {Record<"info" | "warn" | "error", (text: string) => void>} Log */
/**
 * @typedef {object} BridgeOptions
 * @property {string} url
 * @property {string} tokenFile  read at each connect, so that a rotated token is found
 * @property {object} identity  what the hello says of us beside token and protocol
 * @property {Log} log
 * @property {(event: string, payload: unknown, scope?: string) => void} emit
 * @property {Limits} [limits]
 */

/**
 * @param {number} id
 * @param {string} frame
 */
function pendingCall(id, frame) {
  return { id, frame, sent: false, ...Promise.withResolvers() };
}

/** @typedef {ReturnType<typeof pendingCall>} PendingCall */

const REMEDIES = Object.freeze({
  token:
    "set plugins.entries.mission-control.config.tokenFile to the token file of the running sidecar",
  protocol: "install the plugin and the sidecar from the same release of Mission Control",
});

export class Bridge {
  #url;
  #tokenFile;
  #identity;
  #log;
  #emit;
  #limits;
  /** @type {Map<number, PendingCall>} */
  #calls = new Map();
  // 1 is the hello's.
  #nextId = 2;
  /** @type {Link | undefined} */
  #link;
  /** @type {NodeJS.Timeout | undefined} */
  #retry;
  #attempts = 0;
  #connecting = false;
  /** @type {number | undefined} */
  #upSince;
  #stopped = false;
  #why = "not connected yet";
  #told = "";

  /** @param {BridgeOptions} options */
  constructor({ url, tokenFile, identity, log, emit, limits = LIMITS }) {
    this.#url = url;
    this.#tokenFile = tokenFile;
    this.#identity = identity;
    this.#log = log;
    this.#emit = emit;
    this.#limits = limits;
  }

  start() {
    void this.#connect();
  }

  /** Somebody knows that the sidecar can be reached now: connect without waiting. */
  kick() {
    if (this.#stopped || this.#link || this.#connecting) return;
    clearTimeout(this.#retry);
    void this.#connect();
  }

  /** Ends the link and every waiting call; nothing is left that keeps the process alive. */
  stop() {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#link?.close();
    for (const call of this.#calls.values()) {
      call.reject(
        linkError("bridge-stopped", "Mission Control's plugin was stopped", {
          mayHaveExecuted: call.sent,
        }),
      );
    }
  }

  /**
   * Rejects with a BridgeError only.
   *
   * @param {string} method
   * @param {object} params
   * @param {{timeoutMs?: number, graceMs?: number, signal?: AbortSignal}} [options]
   * @returns {Promise<any>}
   */
  async call(method, params, options = {}) {
    const { callMs, connectGraceMs } = this.#limits;
    const { timeoutMs = callMs, graceMs = connectGraceMs, signal } = options;
    const call = this.#admit(method, params);
    const deadline = setTimeout(() => this.#abandon(call, "bridge-deadline", timeoutMs), timeoutMs);
    /** @type {NodeJS.Timeout | undefined} */
    let grace;
    const abort = () => this.#abandon(call, "bridge-aborted");
    signal?.addEventListener("abort", abort, { once: true });
    try {
      if (signal?.aborted) abort();
      else if (this.#link?.ready) this.#send(call);
      else grace = setTimeout(() => this.#expire(call), graceMs);
      return await call.promise;
    } finally {
      clearTimeout(deadline);
      clearTimeout(grace);
      signal?.removeEventListener("abort", abort);
      this.#calls.delete(call.id);
    }
  }

  /**
   * @param {string} method
   * @param {object} params
   */
  #admit(method, params) {
    const { inFlight, requestBytes } = this.#limits;
    if (this.#stopped) {
      throw linkError("bridge-stopped", "Mission Control's plugin was stopped", {
        mayHaveExecuted: false,
      });
    }
    if (this.#calls.size >= inFlight) {
      throw linkError("bridge-overload", `${inFlight} calls wait for Mission Control already`, {
        mayHaveExecuted: false,
      });
    }
    const id = this.#nextId++;
    const frame = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    const size = Buffer.byteLength(frame);
    if (size > requestBytes) {
      throw new BridgeError(
        `the request has ${size} bytes; ${requestBytes} are allowed: name a file instead`,
        { kind: "invalid", retryable: false, reason: "request-too-large", mayHaveExecuted: false },
      );
    }
    const call = pendingCall(id, frame);
    this.#calls.set(id, call);
    return call;
  }

  /** @param {PendingCall} call */
  #send(call) {
    const link = /** @type {Link} */ (this.#link);
    if (link.buffered + call.frame.length > this.#limits.sendBufferBytes) {
      const text = "the link to Mission Control is full";
      call.reject(linkError("bridge-overload", text, { mayHaveExecuted: false }));
      return;
    }
    link.send(call.frame);
    call.sent = true;
  }

  /** @param {PendingCall} call  whose time to find a link is over */
  #expire(call) {
    if (call.sent) return;
    const text = `Mission Control does not answer at ${this.#url}: ${this.#why}`;
    call.reject(linkError("bridge-down", text, { mayHaveExecuted: false }));
  }

  /**
   * @param {PendingCall} call
   * @param {"bridge-deadline" | "bridge-aborted"} reason
   * @param {number} [timeoutMs]
   */
  #abandon(call, reason, timeoutMs) {
    if (call.sent && this.#link?.ready) {
      const cancel = { jsonrpc: "2.0", method: "bridge.cancel", params: { id: call.id } };
      this.#link.send(JSON.stringify(cancel));
    }
    const text =
      timeoutMs === undefined
        ? "the call was aborted"
        : `Mission Control gave no answer in ${timeoutMs} ms`;
    call.reject(linkError(reason, text, { mayHaveExecuted: call.sent, kind: "deadline" }));
  }

  async #connect() {
    this.#connecting = true;
    try {
      const token = await this.#readToken();
      if (!this.#stopped) this.#open(token);
    } catch (error) {
      this.#lost({ text: /** @type {Error} */ (error).message });
    } finally {
      this.#connecting = false;
    }
  }

  async #readToken() {
    try {
      return (await readFile(this.#tokenFile, "utf8")).trim();
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      throw new Error(`cannot read the token file ${this.#tokenFile} (${code})`);
    }
  }

  /** @param {string} token */
  #open(token) {
    const hello = { token, protocol: PROTOCOL, ...this.#identity, pid: process.pid };
    this.#link = new Link(this.#url, hello, this.#limits, {
      ready: () => this.#ready(),
      answer: (message) => this.#answer(message),
      notification: (method, params) => this.#notified(method, params),
      lost: (ending) => this.#lost(ending),
    });
  }

  #ready() {
    this.#upSince = performance.now();
    this.#told = "";
    this.#log.info(`connected to Mission Control at ${this.#url}`);
    for (const call of this.#calls.values()) this.#send(call);
  }

  /** @param {any} message */
  #answer({ id, result, error }) {
    const call = this.#calls.get(id);
    if (error) call?.reject(fromWire(error));
    else call?.resolve(result);
  }

  /**
   * @param {string} method
   * @param {any} params
   */
  #notified(method, params) {
    if (method === "event") this.#emit(params?.event, params?.payload, params?.scope);
  }

  /** @param {import("./link.js").Ending} ending */
  #lost({ text, refusal }) {
    if (this.#stopped) return;
    const lasted = performance.now() - (this.#upSince ?? Infinity);
    // A link that ends as soon as it is up must not be tried ten times a second.
    if (lasted >= this.#limits.pingMs) this.#attempts = 0;
    this.#upSince = undefined;
    this.#link = undefined;
    this.#why = text;
    this.#failSent(text);
    this.#tell(text, refusal);
    const delay = refusal ? this.#limits.refusedMs : this.#backoff();
    this.#retry = setTimeout(() => void this.#connect(), delay);
  }

  /** @param {string} why */
  #failSent(why) {
    const text = `the link to Mission Control was lost before the answer came: ${why}`;
    for (const call of this.#calls.values()) {
      if (call.sent) call.reject(linkError("bridge-lost", text, { mayHaveExecuted: true }));
    }
  }

  #backoff() {
    const { reconnectMinMs, reconnectMaxMs } = this.#limits;
    const full = Math.min(reconnectMaxMs, reconnectMinMs * 2 ** Math.min(this.#attempts++, 16));
    return full * (0.5 + Math.random() / 2);
  }

  /**
   * Says each thing once until the link is up again: retries go on for ever, the log must not.
   *
   * @param {string} text
   * @param {import("./link.js").Refusal} [refusal]
   */
  #tell(text, refusal) {
    if (text === this.#told) return;
    this.#told = text;
    if (refusal) this.#log.error(`${text} (${REMEDIES[refusal]})`);
    else this.#log.warn(`no link to Mission Control at ${this.#url}: ${text}; trying again`);
  }
}
