import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { ID, VERSION } from "../../gateway_bridge/plugin/index.js";
import { METHODS, TOOLS } from "../../gateway_bridge/plugin/surface.js";

/** @param {string} name */
async function json(name) {
  const url = new URL(`../../gateway_bridge/plugin/${name}`, import.meta.url);
  return JSON.parse(await readFile(url, "utf8"));
}

test("manifest, package and code agree on name and version", async () => {
  const manifest = await json("openclaw.plugin.json");
  const pack = await json("package.json");
  assert.equal(manifest.id, ID);
  assert.equal(manifest.version, VERSION);
  assert.equal(pack.version, VERSION);
});

test("the manifest grants exactly the tools that the plugin registers", async () => {
  const { contracts, toolMetadata } = await json("openclaw.plugin.json");
  const names = TOOLS.map(({ name }) => name);
  assert.deepEqual(contracts.tools, names);
  assert.deepEqual(Object.keys(toolMetadata), names);
  for (const { name, sideEffecting } of TOOLS) {
    assert.equal(toolMetadata[name].sideEffecting, sideEffecting);
  }
});

test("methods are ours, are unique, and name a scope that the Gateway knows", () => {
  const names = METHODS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, scope } of METHODS) {
    assert.match(name, /^mission\.[a-z_]+(\.[a-z_]+)?$/);
    assert.match(scope, /^operator\.(read|write|admin)$/);
  }
});

test("a sidecar's address can only be on loopback", async () => {
  const { configSchema } = await json("openclaw.plugin.json");
  const pattern = new RegExp(configSchema.properties.url.pattern);
  assert.match("ws://127.0.0.1:18700/bridge", pattern);
  assert.match("ws://[::1]:1/bridge", pattern);
  assert.doesNotMatch("ws://127.0.0.1.example.org/bridge", pattern);
  assert.doesNotMatch("ws://localhost@example.org/bridge", pattern);
});
