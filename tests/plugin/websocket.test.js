import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createListener } from "node:net";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ClientSocket, decode } from "../../gateway_bridge/plugin/websocket.js";
import { Inbox, listen } from "./support/ws_server.js";

const PROTOCOL = "test.v1";
const LOST = 1006;
const MIB = 1024 * 1024;

setFlagsFromString("--expose-gc");
/** @type {() => void} */
const collectGarbage = runInNewContext("gc");

/** @param {string} url */
function client(url) {
  const opened = new Inbox();
  const messages = new Inbox();
  const closings = new Inbox();
  const socket = new ClientSocket(url, PROTOCOL, {
    open: () => opened.put(true),
    message: (text) => messages.put(text),
    close: (closing) => closings.put(closing),
  });
  return { socket, opened, messages, closings };
}

/** @param {import("node:test").TestContext} t */
async function connected(t) {
  const peers = new Inbox();
  const server = await listen((peer) => peers.put(peer));
  t.after(() => server.close());
  const ours = client(`ws://127.0.0.1:${server.port}/`);
  t.after(() => ours.socket.close());
  const peer = await peers.take();
  await ours.opened.take();
  return { peer, ...ours };
}

/**
 * Answers a request for a WebSocket as it is told to.
 *
 * @param {import("node:test").TestContext} t
 * @param {string} answer
 */
async function answering(t, answer) {
  const server = createListener((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(answer));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  t.after(() => server.close());
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return client(`ws://127.0.0.1:${port}/`);
}

/** @param {number} opcode  @param {Buffer} payload */
function frame(opcode, payload) {
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.from([0x80 | opcode, length]), payload]);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = length < 65_536 ? 126 : 127;
  if (length < 65_536) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
  test(`a message of ${size} bytes goes both ways`, async (t) => {
    const { peer, socket, messages } = await connected(t);
    const text = "x".repeat(size);
    socket.send(text);
    assert.equal(await peer.messages.take(), text);
    peer.write(frame(1, Buffer.from(text)));
    assert.equal(await messages.take(), text);
  });
}

test("text that is not ASCII goes both ways", async (t) => {
  const { peer, socket, messages } = await connected(t);
  socket.send("ü€𝄞");
  assert.equal(await peer.messages.take(), "ü€𝄞");
  peer.write(frame(1, Buffer.from("ü€𝄞")));
  assert.equal(await messages.take(), "ü€𝄞");
});

test("messages are put together from pieces of the stream, wherever it was cut", async (t) => {
  const { peer, messages } = await connected(t);
  const sent = Buffer.concat([1, 200, 70_000].map((size) => frame(1, Buffer.alloc(size, "y"))));
  for (let at = 0, step = 1; at < sent.length; at += step, step *= 3) {
    peer.write(sent.subarray(at, at + step));
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const size of [1, 200, 70_000]) assert.equal((await messages.take()).length, size);
});

test("a ping is answered with what it holds", async (t) => {
  const { peer } = await connected(t);
  peer.write(frame(9, Buffer.from("are you there?")));
  assert.equal(await peer.pongs.take(), "are you there?");
});

test("pings of a peer that does not read are not answered for ever", async (t) => {
  const { peer, socket, messages } = await connected(t);
  peer.pause();
  while (socket.buffered < 4 * MIB) socket.send("z".repeat(MIB));
  const { buffered } = socket;
  const pings = Buffer.concat(Array(50_000).fill(frame(9, Buffer.alloc(125))));
  peer.write(Buffer.concat([pings, frame(1, Buffer.from("heard"))]));
  assert.equal(await messages.take(), "heard");
  assert(socket.buffered <= buffered);
});

test("a long message is not kept once it was told", async (t) => {
  const { peer, messages } = await connected(t);
  const size = 32 * MIB;
  const { arrayBuffers } = process.memoryUsage();
  peer.write(frame(1, Buffer.alloc(size, "x")));
  assert.equal((await messages.take()).length, size);
  for (let round = 0; round < 100; round++) {
    collectGarbage();
    if (process.memoryUsage().arrayBuffers - arrayBuffers < size / 2) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.fail("the buffer is still there");
});

test("a pong that nobody asked for is no news", async (t) => {
  const { peer, messages } = await connected(t);
  peer.write(frame(10, Buffer.alloc(0)));
  peer.write(frame(1, Buffer.from("and on")));
  assert.equal(await messages.take(), "and on");
});

test("the code and the reason of a goodbye are told, and it is returned", async (t) => {
  const { peer, closings } = await connected(t);
  const payload = Buffer.concat([Buffer.from([4401 >> 8, 4401 & 255]), Buffer.from("wrong")]);
  peer.write(frame(8, payload));
  assert.deepEqual(await closings.take(), { code: 4401, reason: "wrong" });
  assert.equal(await peer.closed, 4401);
});

test("a goodbye without a code is told as one", async (t) => {
  const { peer, closings } = await connected(t);
  peer.write(frame(8, Buffer.alloc(0)));
  assert.deepEqual(await closings.take(), { code: 1005, reason: "" });
});

test("a connection that just ends is told as lost", async (t) => {
  const { peer, closings } = await connected(t);
  peer.destroy();
  assert.equal((await closings.take()).code, LOST);
});

test("nothing is told of an end that we wanted, and the peer hears a goodbye", async (t) => {
  const { peer, socket, messages, closings } = await connected(t);
  peer.write(frame(1, Buffer.from("last")));
  await messages.take();
  socket.close();
  assert.equal(await peer.closed, 1000);
  closings.put("nothing");
  assert.equal(await closings.take(), "nothing");
});

for (const [name, bytes] of Object.entries({
  "a message in pieces": Buffer.from([0x01, 0]),
  "a masked frame": Buffer.from([0x81, 0x80, 1, 2, 3, 4]),
  "bytes instead of text": frame(2, Buffer.from("x")),
  "a long ping": frame(9, Buffer.alloc(126)),
  "a reserved bit": Buffer.from([0xc1, 0]),
  "a length of exabytes": Buffer.from([0x81, 127, 127, 0, 0, 0, 0, 0, 0, 0]),
})) {
  test(`${name} ends the connection`, async (t) => {
    const { peer, closings, messages } = await connected(t);
    peer.write(Buffer.concat([bytes, frame(1, Buffer.from("not heard"))]));
    assert.equal((await closings.take()).code, LOST);
    messages.put("nothing");
    assert.equal(await messages.take(), "nothing");
  });
}

test("no beginning of a frame is taken for a whole one", () => {
  for (const size of [0, 125, 126, 65_536]) {
    const whole = frame(1, Buffer.alloc(size));
    for (const length of [0, 1, 2, 3, 9, whole.length - 1].filter((n) => n < whole.length)) {
      const frame = decode(whole.subarray(0, length));
      assert(frame === undefined || frame.size > length);
    }
    assert.equal(decode(whole)?.size, whole.length);
  }
});

test("a refused handshake is told with its status", async (t) => {
  const server = createServer((_, response) => response.writeHead(403).end("no"));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  t.after(() => server.close());
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const { closings } = client(`ws://127.0.0.1:${port}/`);
  assert.deepEqual(await closings.take(), { code: LOST, reason: "HTTP 403" });
});

test("who answers for another protocol, or without our key, is not talked to", async (t) => {
  const first = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  for (const rest of ["", `Sec-WebSocket-Protocol: ${PROTOCOL}\r\nSec-WebSocket-Accept: x\r\n`]) {
    const { opened, closings } = await answering(t, `${first}${rest}\r\n`);
    assert.match((await closings.take()).reason, /handshake/);
    opened.put("never");
    assert.equal(await opened.take(), "never");
  }
});

test("who answers with an extension that nobody asked for is not talked to", async (t) => {
  const server = createServer();
  server.on("upgrade", ({ headers }, socket) => {
    const key = `${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    socket.on("error", () => {});
    socket.end(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${createHash("sha1").update(key).digest("base64")}\r\n` +
        `Sec-WebSocket-Protocol: ${PROTOCOL}\r\n` +
        "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    );
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  t.after(() => server.close());
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  assert.match((await client(`ws://127.0.0.1:${port}/`).closings.take()).reason, /handshake/);
});

test("what a handler throws ends the connection and nothing else", async (t) => {
  const peers = new Inbox();
  const closings = new Inbox();
  const server = await listen((peer) => peers.put(peer));
  t.after(() => server.close());
  new ClientSocket(`ws://127.0.0.1:${server.port}/`, PROTOCOL, {
    open: () => {},
    message: (text) => assert.fail(text),
    close: (closing) => closings.put(closing),
  });
  (await peers.take()).write(frame(1, Buffer.from("a bug of ours")));
  assert.deepEqual(await closings.take(), { code: LOST, reason: "a bug of ours" });
});

test("a peer that takes nothing does not keep the connection", async (t) => {
  const { peer, socket } = await connected(t);
  peer.pause();
  while (socket.buffered === 0) socket.send("z".repeat(1_000_000));
  socket.close();
  peer.resume();
  assert.equal(await peer.closed, undefined);
});
