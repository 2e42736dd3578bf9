import assert from "node:assert/strict";
import { test } from "node:test";
import { Bridge } from "../../gateway_bridge/plugin/bridge.js";
import { LogLines, QUICK } from "./support/gateway.js";
import { Sidecar } from "./support/sidecar.js";

const NORMAL = 1000;
const SECRET = "first-token";

/**
 * @param {import("node:test").TestContext} t
 * @param {{limits?: object, url?: string, tokenFile?: string}} [options]
 */
async function started(t, { limits, ...place } = {}) {
  const sidecar = await Sidecar.start(t);
  const log = new LogLines();
  /** @type {any[]} */
  const events = [];
  const bridge = new Bridge({
    url: sidecar.url,
    tokenFile: sidecar.tokenFile,
    ...place,
    identity: { plugin: "mission-control", version: "0.1.0", gateway: "2026.9.6", hooks: true },
    log,
    emit: (...event) => events.push(event),
    limits: { ...QUICK, ...limits },
  });
  bridge.start();
  t.after(() => bridge.stop());
  return { sidecar, bridge, log, events };
}

/** @param {Promise<any>} call  @returns {Promise<any>} */
async function refusal(call) {
  return call.then(
    () => assert.fail("the call was answered"),
    (error) => error,
  );
}

/** @param {Promise<any>} call  @param {string} reason  @param {boolean} mayHaveExecuted */
async function assertRefused(call, reason, mayHaveExecuted) {
  const { data } = await refusal(call);
  assert.equal(data.reason, reason);
  assert.equal(data.mayHaveExecuted, mayHaveExecuted);
  return data;
}

test("the hello says who we are and carries the token", async (t) => {
  const { sidecar } = await started(t);
  const link = await sidecar.connection();
  assert.equal(link.path, "/bridge");
  assert.equal(link.protocol, "mission-bridge.v1");
  assert.deepEqual(await link.next(), {
    jsonrpc: "2.0",
    id: 1,
    method: "bridge.hello",
    params: {
      token: SECRET,
      protocol: 1,
      plugin: "mission-control",
      version: "0.1.0",
      gateway: "2026.9.6",
      hooks: true,
      pid: process.pid,
    },
  });
});

test("a call goes out as JSON-RPC and comes back with its result", async (t) => {
  const { sidecar, bridge } = await started(t);
  const link = await sidecar.accept();
  const call = bridge.call("mission.system.health", { a: "ü" });
  const request = await link.answerNext({ ok: true });
  assert.equal(request.method, "mission.system.health");
  assert.deepEqual(request.params, { a: "ü" });
  assert.deepEqual(await call, { ok: true });
});

test("answers may come in any order", async (t) => {
  const { sidecar, bridge } = await started(t);
  const link = await sidecar.accept();
  const calls = [bridge.call("a", {}), bridge.call("b", {})];
  const first = await link.next();
  const second = await link.next();
  link.send({ id: second.id, result: second.method });
  link.send({ id: first.id, result: first.method });
  assert.deepEqual(await Promise.all(calls), ["a", "b"]);
});

test("an error of the sidecar keeps its kind and its details", async (t) => {
  const { sidecar, bridge } = await started(t);
  const link = await sidecar.accept();
  const call = bridge.call("mission.task.move", {});
  const { id } = await link.next();
  const data = { kind: "conflict", retryable: false, task: { version: 4 } };
  link.send({ id, error: { code: -32009, message: "the task changed", data } });
  const error = await refusal(call);
  assert.equal(error.message, "the task changed");
  assert.deepEqual(error.data, data);
});

test("a refused token is said once, without the token, and a new one is picked up", async (t) => {
  const { sidecar, bridge, log } = await started(t);
  for (let attempt = 0; attempt < 3; attempt++) {
    const link = await sidecar.connection();
    const { id } = await link.next();
    if (attempt === 2) await sidecar.writeToken("second-token");
    const data = { kind: "unauthenticated" };
    link.send({ id, error: { code: -32001, message: "wrong token", data } });
    link.peer.close(4401);
  }
  const link = await sidecar.connection();
  const hello = await link.answerNext({ protocol: 1 });
  assert.equal(hello.params.token, "second-token");
  const call = bridge.call("a", {});
  await link.answerNext(1);
  await call;
  assert.equal(log.count("error:"), 1);
  assert.match(log.lines[0], /config\.tokenFile/);
  assert.equal(log.count(SECRET), 0);
});

test("a close with 4401 alone counts as a refused token", async (t) => {
  const { sidecar, log } = await started(t);
  const link = await sidecar.connection();
  await link.next();
  link.peer.close(4401);
  await sidecar.accept();
  assert.match(log.lines[0], /^error: .*4401.*tokenFile/);
});

test("another protocol is said once with what to do", async (t) => {
  const { sidecar, log } = await started(t);
  for (let attempt = 0; attempt < 2; attempt++) {
    await (await sidecar.connection()).answerNext({ protocol: 2 });
  }
  await sidecar.accept();
  assert.equal(log.count("error:"), 1);
  assert.match(log.lines[0], /same release/);
});

test("a hello refused for another reason is tried again without alarm", async (t) => {
  const { sidecar, log } = await started(t);
  const link = await sidecar.connection();
  const { id } = await link.next();
  link.send({ id, error: { code: -32010, message: "starting", data: { kind: "unavailable" } } });
  await sidecar.accept();
  assert.match(log.lines[0], /^warn: .*starting; trying again$/);
});

test("a missing token file is waited for", async (t) => {
  const { bridge, log } = await started(t, {
    tokenFile: "/nonexistent/token",
    limits: { connectGraceMs: 20 },
  });
  const { message } = await refusal(bridge.call("a", {}));
  assert.match(message, /cannot read the token file \/nonexistent\/token \(ENOENT\)/);
  assert.equal(log.count("cannot read the token file"), 1);
});

test("an address that cannot be used refuses calls and throws nowhere else", async (t) => {
  const { bridge } = await started(t, {
    url: "ws://127.0.0.1:99999/bridge",
    limits: { connectGraceMs: 20 },
  });
  await assertRefused(bridge.call("a", {}), "bridge-down", false);
});

test("a call made while the link is down is sent as soon as it is up", async (t) => {
  const { sidecar, bridge } = await started(t);
  const call = bridge.call("a", {});
  const link = await sidecar.accept();
  await link.answerNext("late but here");
  assert.equal(await call, "late but here");
});

test("a call that finds no link in time was not executed", async (t) => {
  const { sidecar, bridge } = await started(t, { limits: { connectGraceMs: 20 } });
  await sidecar.connection();
  const data = await assertRefused(bridge.call("a", {}), "bridge-down", false);
  assert.equal(data.kind, "unavailable");
  assert.equal(data.retryable, true);
});

test("a call may be given longer to find a link", async (t) => {
  const { sidecar, bridge } = await started(t, { limits: { connectGraceMs: 20 } });
  const patient = bridge.call("a", {}, { graceMs: 60_000 });
  await assertRefused(bridge.call("b", {}), "bridge-down", false);
  const link = await sidecar.accept();
  await link.answerNext("worth the wait");
  assert.equal(await patient, "worth the wait");
});

test("a call whose link is lost may have been executed; the next link takes calls", async (t) => {
  const { sidecar, bridge, log } = await started(t);
  const first = await sidecar.accept();
  const lost = bridge.call("a", {});
  await first.next();
  first.peer.destroy();
  await assertRefused(lost, "bridge-lost", true);
  const second = await sidecar.accept();
  const call = bridge.call("b", {});
  await second.answerNext("again");
  assert.equal(await call, "again");
  assert.equal(log.count("connected to Mission Control"), 2);
});

test("more calls than the cap are refused at once", async (t) => {
  const { sidecar, bridge } = await started(t, { limits: { inFlight: 2 } });
  const link = await sidecar.accept();
  const calls = [bridge.call("a", {}), bridge.call("a", {})];
  await assertRefused(bridge.call("a", {}), "bridge-overload", false);
  await link.answerNext(1);
  await link.answerNext(2);
  assert.deepEqual(await Promise.all(calls), [1, 2]);
  const next = bridge.call("a", {});
  await link.answerNext(3);
  assert.equal(await next, 3);
});

test("a call that would overfill the socket is refused", async (t) => {
  const { sidecar, bridge } = await started(t, { limits: { sendBufferBytes: 100 } });
  await sidecar.accept();
  await assertRefused(bridge.call("a", { text: "x".repeat(100) }), "bridge-overload", false);
});

test("a request beyond its cap is invalid", async (t) => {
  const { bridge } = await started(t, { limits: { requestBytes: 200 } });
  const data = await assertRefused(
    bridge.call("a", { text: "ü".repeat(100) }),
    "request-too-large",
    false,
  );
  assert.equal(data.kind, "invalid");
});

test("a call without an answer ends at its deadline and is cancelled", async (t) => {
  const { sidecar, bridge } = await started(t);
  const link = await sidecar.accept();
  const call = bridge.call("a", {}, { timeoutMs: 500 });
  const { id } = await link.next();
  const data = await assertRefused(call, "bridge-deadline", true);
  assert.equal(data.kind, "deadline");
  const cancel = { jsonrpc: "2.0", method: "bridge.cancel", params: { id } };
  assert.deepEqual(await link.next(), cancel);
});

test("an aborted call is cancelled, and its late answer ignored", async (t) => {
  const { sidecar, bridge } = await started(t);
  const link = await sidecar.accept();
  const abort = new AbortController();
  const call = bridge.call("a", {}, { signal: abort.signal });
  const { id } = await link.next();
  abort.abort();
  await assertRefused(call, "bridge-aborted", true);
  assert.equal((await link.next()).method, "bridge.cancel");
  link.send({ id, result: "too late" });
  const next = bridge.call("b", {});
  await link.answerNext("fine");
  assert.equal(await next, "fine");
});

test("a call aborted before it starts is never sent", async (t) => {
  const { sidecar, bridge } = await started(t);
  const link = await sidecar.accept();
  const call = bridge.call("a", {}, { signal: AbortSignal.abort() });
  await assertRefused(call, "bridge-aborted", false);
  const next = bridge.call("b", {});
  assert.equal((await link.answerNext(1)).method, "b");
  await next;
});

test("a silent sidecar is asked whether it lives, and kept while it answers", async (t) => {
  const { sidecar, log } = await started(t, { limits: { pingMs: 500 } });
  const link = await sidecar.accept();
  for (let beat = 0; beat < 5; beat++) {
    assert.equal((await link.answerNext({})).method, "bridge.ping");
  }
  assert.equal(log.count("silent"), 0);
});

test("a sidecar that stays silent is dropped and tried anew", async (t) => {
  const { sidecar, bridge, log } = await started(t, { limits: { pingMs: 20 } });
  const frozen = await sidecar.accept();
  const call = bridge.call("a", {});
  await assertRefused(call, "bridge-lost", true);
  await sidecar.accept();
  assert.equal(log.count("silent for"), 1);
  assert.equal(await frozen.peer.closed, NORMAL);
});

test("a hello that is not answered is tried anew", async (t) => {
  const { sidecar, log } = await started(t, { limits: { helloMs: 1000 } });
  await sidecar.connection();
  await sidecar.accept();
  assert.equal(log.count("no answer to the hello"), 1);
});

test("the sidecar's ping is answered, its other requests are refused", async (t) => {
  const { sidecar } = await started(t);
  const link = await sidecar.accept();
  link.send({ id: 7, method: "bridge.ping", params: {} });
  assert.deepEqual(await link.next(), { jsonrpc: "2.0", id: 7, result: {} });
  link.send({ id: 8, method: "gateway.shutdown", params: {} });
  assert.equal((await link.next()).error.code, -32601);
});

test("a sidecar that asks and asks and takes no answer is left", async (t) => {
  const { sidecar, log } = await started(t, { limits: { sendBufferBytes: 1_000_000 } });
  const link = await sidecar.accept();
  link.peer.pause();
  const ping = { id: "x".repeat(60_000), method: "bridge.ping", params: {} };
  for (let asked = 0; asked < 1000; asked++) link.send(ping);
  await sidecar.accept();
  assert.equal(log.count("takes nothing"), 1);
});

test("events of the sidecar are handed on", async (t) => {
  const { sidecar, bridge, events } = await started(t);
  const link = await sidecar.accept();
  const params = { event: "task_updated", payload: { task_id: "t1" }, scope: "operator.read" };
  link.send({ method: "event", params });
  const call = bridge.call("a", {});
  await link.answerNext(1);
  await call;
  assert.deepEqual(events, [["task_updated", { task_id: "t1" }, "operator.read"]]);
});

test("a frame that is not JSON ends the link", async (t) => {
  const { sidecar, log } = await started(t);
  (await sidecar.accept()).peer.send("nonsense");
  await sidecar.accept();
  assert.equal(log.count("not JSON"), 1);
});

test("stop refuses what waits and what comes", async (t) => {
  const { sidecar, bridge, log } = await started(t);
  const link = await sidecar.accept();
  const sent = bridge.call("a", {});
  await link.next();
  bridge.stop();
  await assertRefused(sent, "bridge-stopped", true);
  await assertRefused(bridge.call("b", {}), "bridge-stopped", false);
  assert.equal(await link.peer.closed, NORMAL);
  assert.equal(log.count("warn:"), 0);
});
