/** A sidecar that says what the test tells it to. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Inbox, listen } from "./ws_server.js";

/** One connection of the plugin, after or before its hello. */
export class PluginLink {
  /** @param {import("./ws_server.js").Peer} peer  @param {string} path  @param {string} protocol */
  constructor(peer, path, protocol) {
    this.peer = peer;
    this.path = path;
    this.protocol = protocol;
  }

  async next() {
    return JSON.parse(await this.peer.messages.take());
  }

  /** @param {object} message */
  send(message) {
    this.peer.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  /** Takes the next request and answers it.  @param {any} result */
  async answerNext(result) {
    const request = await this.next();
    this.send({ id: request.id, result });
    return request;
  }
}

export class Sidecar {
  #links = new Inbox();

  /** @param {number} port  @param {string} folder */
  constructor(port, folder) {
    this.url = `ws://127.0.0.1:${port}/bridge`;
    this.tokenFile = join(folder, "bridge.token");
  }

  /** @param {import("node:test").TestContext} t */
  static async start(t) {
    const folder = await mkdtemp(join(tmpdir(), "plugin-test-"));
    const server = await listen((peer, { url, headers }) => {
      const protocol = String(headers["sec-websocket-protocol"]);
      sidecar.#links.put(new PluginLink(peer, String(url), protocol));
    });
    const sidecar = new Sidecar(server.port, folder);
    await sidecar.writeToken("first-token");
    t.after(async () => {
      server.close();
      await rm(folder, { recursive: true });
    });
    return sidecar;
  }

  /** @param {string} token */
  async writeToken(token) {
    await writeFile(this.tokenFile, `${token}\n`, { mode: 0o600 });
  }

  /** The next connection, its hello not yet read.  @returns {Promise<PluginLink>} */
  connection() {
    return this.#links.take();
  }

  /** The next connection, greeted. */
  async accept() {
    const link = await this.connection();
    await link.answerNext({ protocol: 1, version: "0.1.0" });
    return link;
  }
}
