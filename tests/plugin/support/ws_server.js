/** The part of RFC 6455 that a fake sidecar needs: unfragmented text frames on loopback. */

import { createHash } from "node:crypto";
import { createServer } from "node:http";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT = 1;
const CLOSE = 8;
const PONG = 10;

/**
 * @param {Buffer} buffer
 * @returns {{opcode: number, payload: Buffer, size: number} | undefined}
 */
function decode(buffer) {
  if (buffer.length < 2) return undefined;
  let length = buffer[1] & 0x7f;
  let at = 2;
  if (length === 126) {
    if (buffer.length < 4) return undefined;
    length = buffer.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (buffer.length < 10) return undefined;
    length = Number(buffer.readBigUInt64BE(2));
    at = 10;
  }
  const size = at + 4 + length;
  if (buffer.length < size) return undefined;
  const mask = buffer.subarray(at, at + 4);
  const payload = buffer.subarray(at + 4, size).map((byte, i) => byte ^ mask[i % 4]);
  return { opcode: buffer[0] & 0x0f, payload: Buffer.from(payload), size };
}

/** @param {number} opcode  @param {Buffer} payload  at most 65,535 bytes */
function encode(opcode, payload) {
  const head = payload.length < 126 ? Buffer.alloc(2) : Buffer.alloc(4);
  head[0] = 0x80 | opcode;
  head[1] = payload.length < 126 ? payload.length : 126;
  if (payload.length >= 126) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

/** Values put in by one side and awaited, in order, by the other. */
export class Inbox {
  /** @type {any[]} */
  #values = [];
  /** @type {((value: any) => void)[]} */
  #takers = [];

  /** @param {any} value */
  put(value) {
    const taker = this.#takers.shift();
    if (taker) taker(value);
    else this.#values.push(value);
  }

  /** @returns {Promise<any>} */
  take() {
    if (this.#values.length) return Promise.resolve(this.#values.shift());
    return new Promise((resolve) => this.#takers.push(resolve));
  }
}

/** The server's end of one connection. */
export class Peer {
  messages = new Inbox();
  pongs = new Inbox();
  /** Resolves to the close code of the client, or to undefined when the socket just ended. */
  closed;
  #socket;
  #pending = Buffer.alloc(0);

  /** @param {import("node:stream").Duplex} socket */
  constructor(socket) {
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers();
    this.closed = promise;
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => resolve(undefined));
    socket.on("data", (chunk) => this.#feed(chunk, resolve));
  }

  /** @param {string} text */
  send(text) {
    this.#socket.write(encode(TEXT, Buffer.from(text)));
  }

  /** @param {number} code */
  close(code) {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.#socket.write(encode(CLOSE, payload));
  }

  /** @param {Buffer} bytes  as they are */
  write(bytes) {
    this.#socket.write(bytes);
  }

  pause() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  /** As a killed process leaves it: no close frame. */
  destroy() {
    this.#socket.destroy();
  }

  /** @param {Buffer} chunk  @param {(code: number) => void} closed */
  #feed(chunk, closed) {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    for (let frame = decode(this.#pending); frame; frame = decode(this.#pending)) {
      this.#pending = this.#pending.subarray(frame.size);
      if (frame.opcode === TEXT) this.messages.put(frame.payload.toString());
      if (frame.opcode === PONG) this.pongs.put(frame.payload.toString());
      if (frame.opcode === CLOSE) {
        closed(frame.payload.length ? frame.payload.readUInt16BE(0) : 1005);
        this.#socket.end(encode(CLOSE, frame.payload));
      }
    }
  }
}

/**
 * @param {(peer: Peer, request: import("node:http").IncomingMessage) => void} connected
 * @returns {Promise<{port: number, close(): void}>}
 */
export async function listen(connected) {
  const sockets = new Set();
  const server = createServer();
  server.on("upgrade", (request, socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    const key = createHash("sha1").update(request.headers["sec-websocket-key"] + GUID);
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${key.digest("base64")}\r\n` +
        `Sec-WebSocket-Protocol: ${request.headers["sec-websocket-protocol"]}\r\n\r\n`,
    );
    connected(new Peer(socket), request);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  return {
    port: /** @type {import("node:net").AddressInfo} */ (server.address()).port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
