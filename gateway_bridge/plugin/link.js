/** One WebSocket to the sidecar, from its opening to its end: hello, heartbeat, messages. */

import { ClientSocket } from "./websocket.js";

export const PROTOCOL = 1;
const SUBPROTOCOL = `mission-bridge.v${PROTOCOL}`;
const HELLO_ID = 1;
/** A string, so that it never meets the number of a call. */
const PING_ID = "ping";
const METHOD_NOT_FOUND = -32601;
const CLOSED_PROTOCOL = 4400;
const CLOSED_TOKEN = 4401;
/** A peer that was silent for this many heartbeats is taken for dead. */
const SILENT_HEARTBEATS = 2.5;

/** @typedef {"token" | "protocol"} Refusal  what no retry will mend until somebody changes it */
/** @typedef {{text: string, refusal?: Refusal}} Ending */
/**
 * @typedef {object} LinkEvents
 * @property {() => void} ready  the hello was answered
 * @property {(message: any) => void} answer  a response of the sidecar
 * @property {(method: string, params: any) => void} notification
 * @property {(ending: Ending) => void} lost  once; nothing comes after it
 */

/**
 * @param {any} error  the JSON-RPC error that answered the hello
 * @returns {Ending}
 */
function refused(error) {
  const text = `the sidecar refused the hello: ${error.message}`;
  switch (error.data?.kind) {
    case "unauthenticated":
    case "forbidden":
      return { text, refusal: "token" };
    case "invalid":
      return { text, refusal: "protocol" };
    default:
      return { text };
  }
}

/**
 * @param {import("./websocket.js").Closing} closing
 * @returns {Ending}
 */
function closed({ code, reason }) {
  const text = `the connection ended (code ${code}${reason ? `, ${reason}` : ""})`;
  if (code === CLOSED_TOKEN) return { text, refusal: "token" };
  if (code === CLOSED_PROTOCOL) return { text, refusal: "protocol" };
  return { text };
}

export class Link {
  #socket;
  #on;
  #pingMs;
  #sendBufferBytes;
  #ready = false;
  #ended = false;
  #heardAt = performance.now();
  #tickedAt = performance.now();
  #pingedAt = -Infinity;
  /** @type {NodeJS.Timeout} */
  #timer;

  /**
   * @param {string} url
   * @param {object} hello  parameters of `bridge.hello`
   * @param {{helloMs: number, pingMs: number, sendBufferBytes: number}} limits
   * @param {LinkEvents} on
   */
  constructor(url, hello, { helloMs, pingMs, sendBufferBytes }, on) {
    this.#on = on;
    this.#pingMs = pingMs;
    this.#sendBufferBytes = sendBufferBytes;
    this.#socket = new ClientSocket(url, SUBPROTOCOL, {
      open: () => this.#send({ id: HELLO_ID, method: "bridge.hello", params: hello }),
      message: (text) => this.#receive(text),
      close: (closing) => this.#end(closed(closing)),
    });
    this.#timer = setTimeout(() => this.#end({ text: "no answer to the hello" }), helloMs);
  }

  get ready() {
    return this.#ready && !this.#ended;
  }

  /** Bytes given to the socket and not yet to the kernel. */
  get buffered() {
    return this.#socket.buffered;
  }

  /** @param {string} frame */
  send(frame) {
    this.#socket.send(frame);
  }

  close() {
    this.#end();
  }

  /**
   * What is said without being asked to by a call, each of which looks at the buffer itself.
   *
   * @param {object} message
   */
  #send(message) {
    if (this.buffered > this.#sendBufferBytes) {
      this.#end({ text: "the sidecar takes nothing of what it is sent" });
      return;
    }
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  /** @param {Ending} [ending]  none when we wanted it */
  #end(ending) {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket.close();
    if (ending) this.#on.lost(ending);
  }

  /** @param {string} text */
  #receive(text) {
    if (this.#ended) return;
    this.#heardAt = performance.now();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      this.#end({ text: "the sidecar sent what is not JSON" });
      return;
    }
    this.#dispatch(message ?? {});
  }

  /** @param {any} message */
  #dispatch(message) {
    if (message.method !== undefined) this.#serve(message);
    else if (!this.#ready) this.#greet(message);
    else if (message.id !== PING_ID) this.#on.answer(message);
  }

  /** @param {any} request  a request or a notification of the sidecar */
  #serve({ id, method, params }) {
    if (id === undefined) this.#on.notification(method, params);
    else if (method === "bridge.ping") this.#send({ id, result: {} });
    else this.#send({ id, error: { code: METHOD_NOT_FOUND, message: `no method ${method} here` } });
  }

  /** @param {any} answer  to the hello */
  #greet({ id, result, error }) {
    if (id !== HELLO_ID) return;
    if (error) {
      this.#end(refused(error));
    } else if (result?.protocol !== PROTOCOL) {
      const text = `the sidecar speaks bridge protocol ${result?.protocol}, we speak ${PROTOCOL}`;
      this.#end({ text, refusal: "protocol" });
    } else {
      this.#ready = true;
      clearTimeout(this.#timer);
      this.#tickedAt = performance.now();
      this.#timer = setInterval(() => this.#beat(), this.#pingMs / 2);
      this.#on.ready();
    }
  }

  #beat() {
    const now = performance.now();
    const late = now - this.#tickedAt > this.#pingMs;
    this.#tickedAt = now;
    // We were the ones asleep: what the peer said meanwhile may still wait to be read.
    if (late) return;
    const silent = now - this.#heardAt;
    if (silent >= SILENT_HEARTBEATS * this.#pingMs) {
      this.#end({ text: `the sidecar was silent for ${Math.round(silent)} ms` });
    } else if (silent >= this.#pingMs && now - this.#pingedAt >= this.#pingMs) {
      this.#pingedAt = now;
      this.#send({ id: PING_ID, method: "bridge.ping", params: {} });
    }
  }
}
