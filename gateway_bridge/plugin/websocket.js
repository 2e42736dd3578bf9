/**
 * The client's end of one WebSocket (RFC 6455) on a socket of our own.
 *
 * Node's own client hands each message through streams and events, and cannot be cut: inside a busy
 * Gateway that is a third of the time of a call, and a frozen peer would keep its socket.
 */

import { createHash, randomBytes, randomFillSync } from "node:crypto";
import { request } from "node:http";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION = "13";
const FINAL = 0x80;
const MASKED = 0x80;
const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
const NORMAL = 1000;
const NO_CODE = 1005;
const LOST = 1006;
const CONTROL = 0x8;
const MOST_CONTROL_BYTES = 125;
/** Unsent, beyond which no ping is answered: who does not read the answers may send any number. */
const MOST_UNANSWERED_BYTES = 256 * 1024;
/** No message of the sidecar is nearly as long. */
const MOST_BYTES = 64 * 1024 * 1024;

/** @typedef {{code: number, reason: string}} Closing */
/** @typedef {{opcode: number, payload: Buffer, size: number}} Frame */
/**
 * @typedef {object} SocketEvents
 * @property {() => void} open
 * @property {(text: string) => void} message
 * @property {(closing: Closing) => void} close  once, unless we closed it; nothing comes after it
 */

const masks = Buffer.alloc(4096);
let masksUsed = masks.length;

/** @returns {Buffer} four random bytes, of which many are made at once */
function mask() {
  if (masksUsed === masks.length) {
    randomFillSync(masks);
    masksUsed = 0;
  }
  masksUsed += 4;
  return masks.subarray(masksUsed - 4, masksUsed);
}

/**
 * @param {number} opcode
 * @param {string | Buffer} content
 */
export function encode(opcode, content) {
  const length = Buffer.byteLength(content);
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const at = 2 + extra + 4;
  const frame = Buffer.allocUnsafe(at + length);
  frame[0] = FINAL | opcode;
  frame[1] = MASKED | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) frame.writeUInt16BE(length, 2);
  if (extra === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const key = mask();
  key.copy(frame, at - 4);
  if (typeof content === "string") frame.write(content, at);
  else content.copy(frame, at);
  for (let i = 0; i < length; i++) frame[at + i] ^= key[i & 3];
  return frame;
}

/**
 * @param {Buffer} buffer  of a server: frames have no mask
 * @returns {Frame | undefined} its first frame, which may be longer than what is there; undefined
 *   while that is not known
 */
export function decode(buffer) {
  if (buffer.length < 2) return undefined;
  let length = buffer[1];
  let at = 2;
  if (length === 126) {
    if (buffer.length < 4) return undefined;
    length = buffer.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (buffer.length < 10) return undefined;
    length = Number(buffer.readBigUInt64BE(2));
    at = 10;
  } else if (length > 127) {
    throw new Error("a masked frame");
  }
  if (length > MOST_BYTES) throw new Error(`a frame of ${length} bytes`);
  if (!(buffer[0] & FINAL)) throw new Error("a message in pieces");
  if (buffer[0] & CONTROL && length > MOST_CONTROL_BYTES) throw new Error("a long control frame");
  const size = at + length;
  return { opcode: buffer[0] & 0x7f, payload: buffer.subarray(at, size), size };
}

export class ClientSocket {
  #on;
  #request;
  /** @type {import("node:net").Socket | undefined} */
  #socket;
  /** @type {Buffer[]} */
  #pieces = [];
  /** Bytes of the pieces. */
  #length = 0;
  /** Bytes without which there is nothing to do. */
  #needed = 0;
  #over = false;

  /**
   * @param {string} url  `ws://`
   * @param {string} protocol  the subprotocol, which the server must take
   * @param {SocketEvents} on
   */
  constructor(url, protocol, on) {
    this.#on = on;
    const key = randomBytes(16).toString("base64");
    this.#request = request(url.replace(/^ws:/, "http:"), {
      agent: false,
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": VERSION,
        "Sec-WebSocket-Protocol": protocol,
      },
    });
    this.#request.on("upgrade", ({ headers }, socket, head) => {
      const digest = createHash("sha1").update(key + GUID);
      const agreed =
        headers["sec-websocket-accept"] === digest.digest("base64") &&
        headers["sec-websocket-protocol"] === protocol &&
        headers["sec-websocket-extensions"] === undefined;
      this.#opened(/** @type {import("node:net").Socket} */ (socket), head, agreed);
    });
    this.#request.on("response", ({ statusCode }) => {
      this.#end({ code: LOST, reason: `HTTP ${statusCode}` });
    });
    this.#request.on("error", ({ message }) => this.#end({ code: LOST, reason: message }));
    this.#request.end();
  }

  /** Bytes given to the socket and not yet to the kernel. */
  get buffered() {
    return this.#socket?.writableLength ?? 0;
  }

  /** @param {string} text  lost where the socket is not open */
  send(text) {
    this.#write(TEXT, text);
  }

  /** Says goodbye and cuts the connection; a peer that takes nothing is not waited for. */
  close() {
    if (this.#over) return;
    this.#over = true;
    this.#cut(NORMAL);
  }

  /**
   * @param {import("node:net").Socket} socket
   * @param {Buffer} head  what came behind the answer to the handshake
   * @param {boolean} agreed
   */
  #opened(socket, head, agreed) {
    socket.on("error", ({ message }) => this.#end({ code: LOST, reason: message }));
    socket.on("close", () => this.#end({ code: LOST, reason: "" }));
    this.#socket = socket;
    if (this.#over) {
      socket.destroy();
    } else if (!agreed) {
      this.#end({ code: LOST, reason: "no answer to our handshake" });
    } else {
      socket.setNoDelay(true);
      socket.setTimeout(0);
      socket.on("data", (chunk) => this.#feed(chunk));
      this.#on.open();
      if (head.length) this.#feed(head);
    }
  }

  /** @param {Buffer} piece */
  #feed(piece) {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length < this.#needed) return;
    try {
      const rest = this.#takeAll(Buffer.concat(this.#pieces));
      // An empty view would keep all of the buffer.
      this.#pieces = rest.length ? [rest] : [];
      this.#length = rest.length;
    } catch (error) {
      // Of a handler as well: thrown on from here it would end the Gateway.
      this.#end({ code: LOST, reason: /** @type {Error} */ (error).message });
    }
  }

  /**
   * @param {Buffer} buffer
   * @returns {Buffer} what is no whole frame yet
   */
  #takeAll(buffer) {
    let rest = buffer;
    for (;;) {
      const frame = decode(rest);
      this.#needed = frame?.size ?? 0;
      if (!frame || frame.size > rest.length || this.#over) return rest;
      rest = rest.subarray(frame.size);
      this.#take(frame);
    }
  }

  /** @param {Frame} frame */
  #take({ opcode, payload }) {
    if (opcode === TEXT) {
      this.#on.message(payload.toString());
    } else if (opcode === PING) {
      if (this.buffered <= MOST_UNANSWERED_BYTES) this.#write(PONG, payload);
    } else if (opcode === CLOSE) {
      const code = payload.length < 2 ? NO_CODE : payload.readUInt16BE(0);
      this.#end({ code, reason: payload.subarray(2).toString() });
    } else if (opcode !== PONG) {
      throw new Error(`a frame of kind ${opcode}`);
    }
  }

  /**
   * @param {number} opcode
   * @param {string | Buffer} content
   */
  #write(opcode, content) {
    if (this.#socket?.writable) this.#socket.write(encode(opcode, content));
  }

  /** @param {Closing} closing */
  #end(closing) {
    if (this.#over) return;
    this.#over = true;
    this.#cut(closing.code);
    this.#on.close(closing);
  }

  /** @param {number} code */
  #cut(code) {
    const socket = this.#socket;
    if (!socket) {
      this.#request.destroy();
    } else if (socket.writableLength > 0) {
      socket.destroy();
    } else {
      const payload = Buffer.alloc(2);
      payload.writeUInt16BE(code === NO_CODE || code === LOST ? NORMAL : code);
      this.#write(CLOSE, payload);
      socket.destroySoon();
    }
  }
}
