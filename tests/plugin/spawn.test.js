import assert from "node:assert/strict";
import { test } from "node:test";
import { passedOn, SPAWN_LIMITS, SpawnedSidecar } from "../../gateway_bridge/plugin/spawn.js";
import { LogLines } from "./support/gateway.js";

const QUICK = { ...SPAWN_LIMITS, restartMinMs: 1, restartMaxMs: 5 };
const LISTENS = "console.log('mission control listens on http://127.0.0.1:1, home h');";
const UNTIL_EOF = "process.stdin.resume(); process.stdin.on('end', () => process.exit(0));";

/**
 * @param {import("node:test").TestContext} t
 * @param {string} script  what the sidecar does, as JavaScript
 * @param {object} [limits]
 */
function spawned(t, script, limits) {
  const log = new LogLines();
  /** @type {(() => void)[]} */
  const waiting = [];
  let ready = 0;
  const sidecar = new SpawnedSidecar({
    argv: [process.execPath, "-e", script],
    log,
    limits: { ...QUICK, ...limits },
    ready: () => {
      ready += 1;
      waiting.splice(0).forEach((resolve) => resolve());
    },
  });
  sidecar.start();
  t.after(() => sidecar.stop());
  /** @param {number} times */
  const readyTimes = async (times) => {
    while (ready < times) await new Promise((resolve) => waiting.push(() => resolve(undefined)));
  };
  return { sidecar, log, readyTimes };
}

/** @param {number | undefined} pid */
function lives(pid) {
  try {
    process.kill(/** @type {number} */ (pid), 0);
    return true;
  } catch {
    return false;
  }
}

test("it says when the sidecar can be reached, and what it prints goes to the log", async (t) => {
  const { sidecar, log, readyTimes } = spawned(t, `console.error('hm');${LISTENS}${UNTIL_EOF}`);
  await readyTimes(1);
  assert.ok(lives(sidecar.pid));
  assert.equal(log.count("mission control listens on"), 1);
});

test("a sidecar that was killed is started again", async (t) => {
  const { sidecar, log, readyTimes } = spawned(t, LISTENS + UNTIL_EOF);
  await readyTimes(1);
  const first = /** @type {number} */ (sidecar.pid);
  process.kill(first, "SIGKILL");
  await readyTimes(2);
  assert.notEqual(sidecar.pid, first);
  assert.equal(log.count("the sidecar ended (SIGKILL)"), 1);
});

test("one that fails at once again and again is tried for ever, and told of once", async (t) => {
  const { log, readyTimes } = spawned(t, `${LISTENS} process.exitCode = 75;`);
  await readyTimes(5);
  assert.equal(log.count("the sidecar ended (exit code 75)"), 1);
});

test("stop ends it for good", async (t) => {
  const { sidecar, readyTimes } = spawned(t, LISTENS + UNTIL_EOF);
  await readyTimes(1);
  const pid = sidecar.pid;
  await sidecar.stop();
  assert.ok(!lives(pid));
  assert.equal(sidecar.pid, undefined);
  await sidecar.stop();
});

test("one that will not go is killed after the grace", async (t) => {
  const stubborn = `process.on('SIGTERM', () => {});${LISTENS} setInterval(() => {}, 1000);`;
  const { sidecar, readyTimes } = spawned(t, stubborn, { graceMs: 50 });
  await readyTimes(1);
  const pid = sidecar.pid;
  await sidecar.stop();
  assert.ok(!lives(pid));
});

test("a command that is not there is a warning, and no crash", async (t) => {
  const log = new LogLines();
  const argv = ["/nowhere/mission-control"];
  const sidecar = new SpawnedSidecar({ argv, log, ready: () => {}, limits: SPAWN_LIMITS });
  t.after(() => sidecar.stop());
  sidecar.start();
  while (!log.count("ENOENT")) await new Promise(setImmediate);
  await sidecar.stop();
});

test("the keys in the Gateway's environment stay there", () => {
  const env = { PATH: "/bin", HOME: "/h", OPENAI_API_KEY: "k", LC_ALL: "C", MISSION_CONTROL_HOME: "m" };
  assert.deepEqual(passedOn(env), {
    PATH: "/bin",
    HOME: "/h",
    LC_ALL: "C",
    MISSION_CONTROL_HOME: "m",
  });
});
