/** What the plugin sees of a Gateway. */

import { LIMITS } from "../../../gateway_bridge/plugin/bridge.js";

const PATIENCE_MS = 60_000;

/** Limits under which a new attempt is soon made, and none is given up on a slow machine. */
export const QUICK = Object.freeze({
  ...LIMITS,
  connectGraceMs: PATIENCE_MS,
  agentGraceMs: PATIENCE_MS,
  helloMs: PATIENCE_MS,
  promptMs: PATIENCE_MS,
  checkMs: PATIENCE_MS,
  reconnectMinMs: 1,
  reconnectMaxMs: 5,
  refusedMs: 5,
});

export class LogLines {
  /** @type {string[]} */
  lines = [];
  info = (/** @type {string} */ text) => this.#put("info", text);
  warn = (/** @type {string} */ text) => this.#put("warn", text);
  error = (/** @type {string} */ text) => this.#put("error", text);

  /** @param {string} level  @param {string} text */
  #put(level, text) {
    this.lines.push(`${level}: ${text}`);
  }

  /** @param {string} part */
  count(part) {
    return this.lines.filter((line) => line.includes(part)).length;
  }
}

/** Loads one copy of the plugin, as the Gateway does per registration mode. */
export class FakeGateway {
  logger = new LogLines();
  runtime = { version: "2026.9.6" };
  /** @type {Map<string, {handler: Function, scope: string}>} */
  methods = new Map();
  /** @type {Map<string, Function>} */
  tools = new Map();
  /** @type {Map<string, Function>} */
  hooks = new Map();
  /** @type {Function | undefined} */
  middleware;
  /** @type {any[]} */
  events = [];
  /** @type {any} */
  service;
  /** @type {Map<string, any>} */
  commands = new Map();

  /** @param {any} plugin  @param {object} pluginConfig  @param {object} [config] */
  constructor(plugin, pluginConfig, config = {}) {
    this.pluginConfig = pluginConfig;
    this.config = config;
    plugin.register(this);
  }

  /** @param {string} name  @param {Function} handler  @param {{scope: string}} options */
  registerGatewayMethod(name, handler, { scope }) {
    this.methods.set(name, { handler, scope });
  }

  /** @param {Function} factory  @param {{name: string}} options */
  registerTool(factory, { name }) {
    this.tools.set(name, factory);
  }

  /** @param {string} name  @param {Function} handler */
  on(name, handler) {
    this.hooks.set(name, handler);
  }

  /** @param {Function} handler  @param {{runtimes: string[]}} options */
  registerAgentToolResultMiddleware(handler, { runtimes }) {
    if (runtimes.includes("openclaw")) this.middleware = handler;
  }

  /** @param {any} command */
  registerCommand(command) {
    this.commands.set(command.name, command);
  }

  /** @param {any} service */
  registerService(service) {
    this.service = service;
  }

  start() {
    const gatewayEvents = {
      /** @param {string} event  @param {any} payload  @param {any} options */
      emit: (event, payload, options) => {
        if (event.includes(".")) throw new Error("bad event name");
        this.events.push({ event, payload, ...options });
      },
    };
    this.service.start({ config: this.config, logger: this.logger, gatewayEvents });
  }

  stop() {
    this.service.stop({});
  }

  /** @param {string} method  @param {object} params  @param {object} [client] */
  request(method, params, client) {
    return new Promise((resolve) => {
      /** @param {boolean} ok  @param {any} payload  @param {any} error */
      const respond = (ok, payload, error) => resolve({ ok, payload, error });
      this.methods.get(method)?.handler({ params, client, respond });
    });
  }

  /**
   * @param {string} name
   * @param {object} ctx
   * @param {object} args
   * @param {AbortSignal} [signal]
   */
  callTool(name, ctx, args, signal) {
    return this.tools.get(name)?.(ctx).execute("call-1", args, signal);
  }

  /** @param {object} ctx */
  buildPrompt(ctx) {
    return this.hooks.get("before_prompt_build")?.({ prompt: "go", messages: [] }, ctx);
  }

  /** @param {object} event  @param {object} ctx */
  beforeTool(event, ctx) {
    return this.hooks.get("before_tool_call")?.(event, ctx);
  }
}
