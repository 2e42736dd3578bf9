import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { createPlugin } from "../../gateway_bridge/plugin/index.js";
import { FakeGateway, QUICK } from "./support/gateway.js";
import { Sidecar } from "./support/sidecar.js";

const FOLDER = fileURLToPath(new URL("../../gateway_bridge/plugin/", import.meta.url));
const NORMAL = 1000;
const SESSION = "agent:main:mc:vidsnap:builder";
const CLIENT = {
  connId: "c-1",
  clientIp: "127.0.0.1",
  connect: {
    client: { id: "gateway-client", mode: "backend", version: "1" },
    role: "operator",
    scopes: ["operator.read"],
    auth: { token: "gateway-secret" },
  },
};

/**
 * @param {import("node:test").TestContext} t
 * @param {{config?: object, limits?: object}} [options]
 */
async function started(t, { config, limits } = {}) {
  const sidecar = await Sidecar.start(t);
  const plugin = createPlugin({ ...QUICK, ...limits });
  const { url, tokenFile } = sidecar;
  const gateway = new FakeGateway(plugin, { url, tokenFile }, config);
  gateway.start();
  t.after(() => gateway.stop());
  return { sidecar, gateway };
}

test("an operator's request reaches the sidecar with who asked, and with no secret", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const response = gateway.request("mission.task.list", { project_id: "vidsnap" }, CLIENT);
  const request = await link.answerNext({ tasks: [] });
  assert.equal(request.method, "mission.task.list");
  assert.deepEqual(request.params, {
    params: { project_id: "vidsnap" },
    caller: {
      kind: "operator",
      connId: "c-1",
      clientId: "gateway-client",
      clientMode: "backend",
      role: "operator",
      scopes: ["operator.read"],
    },
  });
  assert.ok(!JSON.stringify(request).includes("gateway-secret"));
  assert.deepEqual(await response, { ok: true, payload: { tasks: [] }, error: undefined });
});

test("a person's command reaches the sidecar with who speaks, and its answer them", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const { handler, acceptsArgs } = gateway.commands.get("mission");
  assert.equal(acceptsArgs, true);
  const ctx = { channel: "telegram", senderId: "4242", isAuthorizedSender: true, config: {} };
  const reply = handler({ ...ctx, args: "answer 1234abcd blue", commandBody: "/mission" });
  const request = await link.answerNext({ text: "Thank you" });
  assert.equal(request.method, "command.run");
  assert.deepEqual(request.params, {
    text: "answer 1234abcd blue",
    caller: { channel: "telegram", senderId: "4242", authorized: true },
  });
  assert.deepEqual(await reply, { text: "Thank you" });
});

test("a person is told why a command came to nothing", async (t) => {
  const { gateway } = await started(t);
  gateway.stop();
  const { text } = await gateway.commands.get("mission").handler({ args: "questions" });
  assert.match(text, /^Mission Control: /);
});

const MAPPED = [
  ["invalid", "INVALID_REQUEST"],
  ["not_found", "NOT_FOUND"],
  ["conflict", "CONFLICT"],
  ["forbidden", "FORBIDDEN"],
  ["unauthenticated", "FORBIDDEN"],
  ["deadline", "UNAVAILABLE"],
  ["limited", "UNAVAILABLE"],
  ["unavailable", "UNAVAILABLE"],
  ["internal", "UNAVAILABLE"],
  ["invented later", "UNAVAILABLE"],
];

test("each kind of refusal has its Gateway code, and keeps its details", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  for (const [kind, code] of MAPPED) {
    const response = gateway.request("mission.task.get", {}, CLIENT);
    const { id } = await link.next();
    const data = { kind, retryable: true, retry_after_ms: 250, field: "task_id" };
    link.send({ id, error: { code: -32000, message: "no", data } });
    assert.deepEqual(await response, {
      ok: false,
      payload: undefined,
      error: { code, message: "no", details: data, retryable: true, retryAfterMs: 250 },
    });
  }
});

test("an error without data is the caller's, or for -32603 ours", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  for (const [jsonrpc, code] of [
    [-32601, "INVALID_REQUEST"],
    [-32603, "UNAVAILABLE"],
  ]) {
    const response = gateway.request("mission.task.get", {}, CLIENT);
    const { id } = await link.next();
    link.send({ id, error: { code: jsonrpc, message: "no" } });
    assert.equal((await response).error.code, code);
  }
});

test("a tool call carries the identity of its session, whatever the model claims", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const ctx = {
    agentId: "main",
    sessionKey: SESSION,
    sessionId: "s-1",
    workspaceDir: "/ws",
    requesterSenderId: "u",
  };
  const args = { thought: "hm", action: "read", agentId: "boss", caller: { kind: "operator" } };
  const result = gateway.callTool("log_event", ctx, args);
  const request = await link.answerNext({ text: "logged", details: { event_id: "e1" } });
  assert.equal(request.method, "tool.call");
  assert.deepEqual(request.params, {
    tool: "log_event",
    args,
    caller: {
      kind: "agent",
      agentId: "main",
      sessionKey: SESSION,
      sessionId: "s-1",
      workspaceDir: "/ws",
      toolCallId: "call-1",
    },
  });
  assert.deepEqual(await result, {
    content: [{ type: "text", text: "logged" }],
    details: { event_id: "e1" },
  });
});

test("a refused tool call tells the model what was wrong and what to do", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const pending = gateway.callTool("log_event", { sessionKey: SESSION }, {});
  const { id } = await link.next();
  const data = { kind: "invalid", retryable: false, field: "thought" };
  link.send({ id, error: { code: -32602, message: "thought is missing", data } });
  const result = await pending;
  assert.equal(result.details.status, "failed");
  assert.equal(result.details.field, "thought");
  assert.equal(
    result.content[0].text,
    "log_event failed: thought is missing. Correct the arguments and call it again.",
  );
});

test("a tool call whose turn is aborted ends, and is cancelled in the sidecar", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const abort = new AbortController();
  const pending = gateway.callTool("log_event", { sessionKey: SESSION }, {}, abort.signal);
  await link.next();
  abort.abort();
  assert.match((await pending).content[0].text, /aborted.*may have happened/);
  assert.equal((await link.next()).method, "bridge.cancel");
});

test("the status text of one of our sessions goes before the prompt", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const prompt = gateway.buildPrompt({ sessionKey: SESSION, agentId: "main", runId: "r-1" });
  const request = await link.answerNext({ text: "[SYSTEM STATUS UPDATE]" });
  assert.equal(request.method, "pulse.get");
  assert.deepEqual(request.params, { sessionKey: SESSION, agentId: "main", runId: "r-1" });
  assert.deepEqual(await prompt, { prependContext: "[SYSTEM STATUS UPDATE]" });
});

test("no status text leaves the prompt as it is", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const prompt = gateway.buildPrompt({ sessionKey: SESSION });
  await link.answerNext({ text: null });
  assert.equal(await prompt, undefined);
});

test("a sidecar that is slow with the status text does not hold the turn", async (t) => {
  const { sidecar, gateway } = await started(t, { limits: { promptMs: 500 } });
  const link = await sidecar.accept();
  const prompt = gateway.buildPrompt({ sessionKey: SESSION });
  await link.next();
  assert.equal(await prompt, undefined);
  assert.equal((await link.next()).method, "bridge.cancel");
});

test("sessions of others are none of our business", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  assert.equal(await gateway.buildPrompt({ sessionKey: "agent:main:main" }), undefined);
  assert.equal(await gateway.buildPrompt({}), undefined);
  const response = gateway.request("mission.system.health", {});
  assert.equal((await link.answerNext({})).method, "mission.system.health");
  await response;
});

test("events go to the Gateway's clients, and a refused one is said once", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const bad = { method: "event", params: { event: "task.updated", payload: {} } };
  link.send(bad);
  link.send(bad);
  link.send({ method: "event", params: { event: "task_updated", payload: { task_id: "t1" } } });
  const response = gateway.request("mission.system.health", {});
  await link.answerNext({});
  await response;
  const expected = { event: "task_updated", payload: { task_id: "t1" }, scope: "operator.read" };
  assert.deepEqual(gateway.events, [expected]);
  assert.equal(gateway.logger.count("refused the event task.updated"), 1);
});

const HOOKS = [
  [{}, false],
  [{ allowConversationAccess: true }, true],
  [{ allowConversationAccess: true, allowPromptInjection: false }, false],
];

for (const [hooks, allowed] of HOOKS) {
  test(`the hello says hooks: ${allowed} for ${JSON.stringify(hooks)}`, async (t) => {
    const config = { plugins: { entries: { "mission-control": { hooks } } } };
    const { sidecar } = await started(t, { config });
    const { params } = await (await sidecar.connection()).next();
    assert.equal(params.hooks, allowed);
    assert.equal(params.gateway, "2026.9.6");
  });
}

test("without a token file the plugin says what to set, and answers", async () => {
  const gateway = new FakeGateway(createPlugin(QUICK), {});
  gateway.start();
  assert.equal(gateway.logger.count("tokenFile"), 1);
  const { error } = await gateway.request("mission.system.health", {});
  assert.equal(error.code, "UNAVAILABLE");
  assert.equal(error.details.mayHaveExecuted, false);
  gateway.stop();
});

/** @param {import("node:test").TestContext} t */
async function copyOfPlugin(t) {
  const folder = await mkdtemp(join(tmpdir(), "plugin-copy-"));
  t.after(() => rm(folder, { recursive: true }));
  await cp(FOLDER, folder, { recursive: true });
  return import(pathToFileURL(join(folder, "index.js")).href);
}

test("two copies of the module share one bridge, and errors pass between them", async (t) => {
  const { sidecar } = await started(t);
  const other = await copyOfPlugin(t);
  assert.notEqual(other.createPlugin, createPlugin);
  const discovery = new FakeGateway(other.default, {});
  const link = await sidecar.accept();
  const first = discovery.callTool("log_event", { sessionKey: SESSION }, {});
  await link.answerNext({ text: "logged" });
  assert.equal((await first).content[0].text, "logged");
  const second = discovery.callTool("log_event", { sessionKey: SESSION }, {});
  await link.next();
  link.peer.destroy();
  assert.equal((await second).details.reason, "bridge-lost");
});

test("a second start takes over from a service that was never stopped", async (t) => {
  const { sidecar, gateway } = await started(t);
  const first = await sidecar.accept();
  const { url, tokenFile } = sidecar;
  const next = new FakeGateway(createPlugin(QUICK), { url, tokenFile });
  next.start();
  t.after(() => next.stop());
  assert.equal(await first.peer.closed, NORMAL);
  const second = await sidecar.accept();
  gateway.stop();
  const response = next.request("mission.system.health", {});
  await second.answerNext({ ok: true });
  assert.equal((await response).ok, true);
});

const CHILD = `
  const { createPlugin } = await import(process.env.PLUGIN);
  const { FakeGateway, QUICK } = await import(process.env.GATEWAY);
  const gateway = new FakeGateway(createPlugin(QUICK), JSON.parse(process.env.CONFIG));
  gateway.start();
  const { ok } = await gateway.request("mission.system.health", {});
  gateway.stop();
  process.exitCode = ok && !(await gateway.request("mission.system.health", {})).ok ? 0 : 1;
`;

test("stop closes everything and lets node exit", async (t) => {
  const sidecar = await Sidecar.start(t);
  const { url, tokenFile } = sidecar;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", CHILD], {
    stdio: "inherit",
    env: {
      PLUGIN: new URL("../../gateway_bridge/plugin/index.js", import.meta.url).href,
      GATEWAY: new URL("support/gateway.js", import.meta.url).href,
      CONFIG: JSON.stringify({ url, tokenFile }),
    },
  });
  const exited = once(child, "exit");
  const link = await sidecar.accept();
  await link.answerNext({ ok: true });
  assert.deepEqual(await exited, [0, null]);
});

const OURS = { agentId: "main", sessionKey: SESSION, runId: "run-1" };

test("the sidecar judges what other tools of our agents name, and long contents stay here", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const event = {
    toolName: "write",
    params: { path: "../x", content: "y".repeat(5000), edits: [{ path: "a", n: 1 }] },
    toolCallId: "c1",
    derivedPaths: ["../x"],
  };
  const verdict = gateway.beforeTool(event, OURS);
  const request = await link.answerNext({ block: "write refused: outside" });
  assert.equal(request.method, "tool.check");
  assert.deepEqual(request.params, {
    sessionKey: SESSION,
    tool: "write",
    params: { path: "../x", edits: [{ path: "a", n: 1 }] },
    derivedPaths: ["../x"],
  });
  assert.deepEqual(await verdict, { block: true, blockReason: "write refused: outside" });
});

test("what the sidecar does not refuse goes on, and other sessions are none of its business", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const event = { toolName: "read", params: { path: "a" }, toolCallId: "c1" };
  const verdict = gateway.beforeTool(event, OURS);
  await link.answerNext({ block: null });
  assert.equal(await verdict, undefined);
  assert.equal(await gateway.beforeTool(event, { sessionKey: "agent:main:main" }), undefined);
  assert.equal(await gateway.beforeTool(event, {}), undefined);
});

test("advice on a command is put beside what the command said, once", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const event = { toolName: "exec", params: { command: "ln -s a b" }, toolCallId: "c7" };
  const verdict = gateway.beforeTool(event, OURS);
  await link.answerNext({ block: null, warn: ["makes a link", "leaves"] });
  assert.equal(await verdict, undefined);
  const said = { content: [{ type: "text", text: "done" }], details: { exitCode: 0 } };
  const advise = /** @type {Function} */ (gateway.middleware);
  assert.equal(advise({ toolCallId: "c8", result: said }, OURS), undefined);
  assert.equal(advise({ toolCallId: "c7", result: said }, { sessionKey: "other" }), undefined);
  const text = "[Mission Control] makes a link\n[Mission Control] leaves";
  assert.deepEqual(advise({ toolCallId: "c7", result: said }, OURS), {
    result: { content: [{ type: "text", text: "done" }, { type: "text", text }], details: { exitCode: 0 } },
  });
  assert.equal(advise({ toolCallId: "c7", result: said }, OURS), undefined);
});

test("a call that cannot be judged is blocked", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const event = { toolName: "write", params: { path: "a" }, toolCallId: "c1" };
  const verdict = gateway.beforeTool(event, OURS);
  const { id } = await link.next();
  link.send({ jsonrpc: "2.0", id, error: { code: -32003, message: "no session of ours" } });
  const { block, blockReason } = await verdict;
  assert.equal(block, true);
  assert.match(blockReason, /cannot be checked now: no session of ours/);
  gateway.stop();
  assert.equal((await gateway.beforeTool(event, OURS)).block, true);
});

test("a tool call carries the run that the Gateway's hook named for it", async (t) => {
  const { sidecar, gateway } = await started(t);
  const link = await sidecar.accept();
  const own = { toolName: "log_event", params: {}, toolCallId: "call-1" };
  assert.equal(await gateway.beforeTool(own, OURS), undefined);
  const result = gateway.callTool("log_event", OURS, { thought: "hm" });
  const { params } = await link.answerNext({ text: "ok" });
  assert.equal(params.caller.runId, "run-1");
  await result;
  const other = gateway.callTool("log_event", { ...OURS, sessionKey: `${SESSION}2` }, {});
  const request = await link.answerNext({ text: "ok" });
  assert.equal(request.params.caller.runId, undefined);
  await other;
});
