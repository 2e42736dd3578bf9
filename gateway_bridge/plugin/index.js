/**
 * The Mission Control plugin: hands `mission.*` methods, agent tools, the prompt hook and the paths
 * that tools name to the sidecar, and the sidecar's events to the Gateway's clients.  It decides
 * nothing itself.
 *
 * The Gateway evaluates this file more than once in one process: a copy for methods and services,
 * another for the tools and hooks of agents' turns.  They meet in one bridge, on `globalThis`.
 */

import { Bridge, LIMITS } from "./bridge.js";
import { linkError, toGatewayError, toToolFailure } from "./errors.js";
import { SpawnedSidecar } from "./spawn.js";
import { METHODS, TOOLS } from "./surface.js";

export const ID = "mission-control";
export const VERSION = "0.1.0";

const DEFAULT_URL = "ws://127.0.0.1:18700/bridge";
const SHARED = Symbol.for("openclaw-mission-control.bridge");
/** Of every session that Mission Control made: `agent:<gateway agent>:mc:<project>:<soul>`. */
const OUR_SESSIONS = ":mc:";

/** @typedef {import("./bridge.js").Limits} Limits */
/**
 * What the copies of this module share.  Tool calls have their run's id in hooks, not in tools.
 *
 * @typedef {object} Shared
 * @property {Bridge} bridge
 * @property {Map<string, string>} runs  run ids by tool call
 * @property {Map<string, string[]>} advice  what agents are told with a tool's result, by tool call
 */
/** @typedef {Record<symbol, Shared | undefined>} Shelf */

const shelf = /** @type {Shelf} */ (/** @type {unknown} */ (globalThis));
/** Tool calls of which something is remembered, the newest. */
const REMEMBERED_CALLS = 1000;
/** A parameter longer than this is a content, not a path; the sidecar need not see it. */
const PATH_CHARS = 4096;

/** @returns {Bridge} */
function bridge() {
  const shared = shelf[SHARED];
  if (shared) return shared.bridge;
  const text = "Mission Control's plugin has no service running in this process";
  throw linkError("bridge-stopped", text, { mayHaveExecuted: false });
}

/**
 * Of the Gateway's client only what says who asks: `client.connect` also holds secrets.
 *
 * @param {any} client
 */
function operator(client) {
  const connect = client?.connect;
  return {
    kind: "operator",
    connId: client?.connId,
    clientId: connect?.client?.id,
    clientMode: connect?.client?.mode,
    role: connect?.role,
    scopes: connect?.scopes ?? [],
  };
}

/**
 * The Gateway vouches for the context of a tool; the model wrote its arguments.
 *
 * @param {any} ctx
 * @param {string} toolCallId
 */
function agent({ agentId, sessionKey, sessionId, workspaceDir }, toolCallId) {
  const runId = shelf[SHARED]?.runs.get(callKey(sessionKey, toolCallId));
  return { kind: "agent", agentId, sessionKey, sessionId, workspaceDir, toolCallId, runId };
}

/**
 * Models number their calls anew in each conversation.
 *
 * @param {string | undefined} sessionKey
 * @param {string} toolCallId
 */
function callKey(sessionKey, toolCallId) {
  return `${sessionKey} ${toolCallId}`;
}

/** @param {any} api */
function registerMethods(api) {
  for (const { name, scope } of METHODS) {
    /** @param {any} request */
    const handler = async ({ params, client, respond }) => {
      try {
        const asked = { params: params ?? {}, caller: operator(client) };
        respond(true, await bridge().call(name, asked));
      } catch (error) {
        respond(false, undefined, toGatewayError(error));
      }
    };
    api.registerGatewayMethod(name, handler, { scope });
  }
}

/**
 * @param {any} ctx
 * @param {typeof TOOLS[number]} tool
 * @param {Limits} limits
 */
function agentTool(ctx, { name, description, parameters }, { agentGraceMs: graceMs }) {
  return {
    name,
    label: name,
    description,
    parameters,
    // Else the Gateway's tool search hides it from the model.
    catalogMode: "direct-only",
    /**
     * @param {string} toolCallId
     * @param {object} args
     * @param {AbortSignal} [signal]
     */
    async execute(toolCallId, args, signal) {
      try {
        const call = { tool: name, args: args ?? {}, caller: agent(ctx, toolCallId) };
        const options = { signal, graceMs };
        const { text, details = {} } = await bridge().call("tool.call", call, options);
        return { content: [{ type: "text", text }], details };
      } catch (error) {
        return toToolFailure(name, error);
      }
    },
  };
}

/**
 * @param {any} api
 * @param {Limits} limits
 */
function registerPulse(api, limits) {
  /**
   * @param {unknown} _event
   * @param {any} ctx
   */
  const pulse = async (_event, { sessionKey, agentId, runId }) => {
    if (!sessionKey?.includes(OUR_SESSIONS)) return undefined;
    try {
      const asked = { sessionKey, agentId, runId };
      const answer = await bridge().call("pulse.get", asked, { timeoutMs: limits.promptMs });
      return answer?.text ? { prependContext: answer.text } : undefined;
    } catch {
      // A turn without its status text is better than no turn; the bridge has logged why.
      return undefined;
    }
  };
  api.on("before_prompt_build", pulse);
}

/**
 * Of a tool's parameters what may name a file: no contents.
 *
 * @param {unknown} value
 * @returns {any}
 */
function namesOnly(value) {
  if (typeof value === "string") return value.length <= PATH_CHARS ? value : undefined;
  if (Array.isArray(value)) return value.map(namesOnly);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, namesOnly(each)]));
}

/**
 * Holds the tools of our agents inside their project: the sidecar judges each call, and one that
 * it cannot judge is blocked.
 *
 * @param {any} api
 * @param {Limits} limits
 */
function registerScope(api, limits) {
  const ours = new Set(TOOLS.map(({ name }) => name));
  /**
   * @param {any} event
   * @param {any} ctx
   */
  const judge = async ({ toolName, params, toolCallId, derivedPaths }, { sessionKey, runId }) => {
    if (!sessionKey?.includes(OUR_SESSIONS)) return undefined;
    const key = callKey(sessionKey, toolCallId);
    remember(shelf[SHARED]?.runs, key, runId);
    if (ours.has(toolName)) return undefined;
    const asked = { sessionKey, tool: toolName, params: namesOnly(params ?? {}), derivedPaths };
    try {
      const options = { timeoutMs: limits.checkMs, graceMs: limits.agentGraceMs };
      const { block, warn } = await bridge().call("tool.check", asked, options);
      if (warn?.length) remember(shelf[SHARED]?.advice, key, warn);
      return block ? { block: true, blockReason: block } : undefined;
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      return { block: true, blockReason: `${toolName} cannot be checked now: ${message}` };
    }
  };
  api.on("before_tool_call", judge);
}

/**
 * Puts the sidecar's advice on a command beside what the command said: a hook before a call can
 * refuse it, and not speak.
 *
 * @param {any} api
 */
function registerAdvice(api) {
  /**
   * @param {any} event
   * @param {any} ctx
   */
  const advise = ({ toolCallId, result }, { sessionKey }) => {
    const key = callKey(sessionKey, toolCallId);
    const advice = shelf[SHARED]?.advice.get(key);
    if (!advice) return undefined;
    shelf[SHARED]?.advice.delete(key);
    const text = `[Mission Control] ${advice.join("\n[Mission Control] ")}`;
    return { result: { ...result, content: [...(result?.content ?? []), { type: "text", text }] } };
  };
  // The manifest asks for this runtime; others show the advice in the next status text only.
  api.registerAgentToolResultMiddleware?.(advise, { runtimes: ["openclaw"] });
}

/**
 * Keeps the newest.
 *
 * @template T
 * @param {Map<string, T> | undefined} kept
 * @param {string} key
 * @param {T | undefined} value
 */
function remember(kept, key, value) {
  if (!kept || !value) return;
  kept.delete(key);
  kept.set(key, value);
  for (const oldest of kept.keys()) {
    if (kept.size <= REMEMBERED_CALLS) return;
    kept.delete(oldest);
  }
}

/**
 * `/mission` in a chat: people answer the questions of agents from where they were sent them.
 *
 * @param {any} api
 */
function registerCommand(api) {
  /** @param {any} ctx */
  const handler = async ({ args, channel, senderId, isAuthorizedSender, gatewayClientScopes }) => {
    const caller = {
      channel,
      senderId,
      authorized: isAuthorizedSender === true,
      scopes: gatewayClientScopes,
    };
    try {
      return { text: (await bridge().call("command.run", { text: args ?? "", caller })).text };
    } catch (error) {
      return { text: `Mission Control: ${/** @type {Error} */ (error).message}` };
    }
  };
  const description = "Answer the questions of Mission Control's agents";
  api.registerCommand({ name: "mission", description, acceptsArgs: true, handler });
}

/**
 * @param {any} config  the Gateway's whole configuration
 * @returns {boolean} whether the Gateway lets our prompt hook run
 */
function hooksAllowed(config) {
  const hooks = config?.plugins?.entries?.[ID]?.hooks;
  return hooks?.allowConversationAccess === true && hooks?.allowPromptInjection !== false;
}

/**
 * Hands events on, and complains once per event name about those that the Gateway refuses.
 *
 * @param {any} ctx  of the service
 */
function emitter({ gatewayEvents, logger }) {
  const refused = new Set();
  /** @type {import("./bridge.js").BridgeOptions["emit"]} */
  return (event, payload, scope = "operator.read") => {
    try {
      gatewayEvents?.emit(event, payload, { scope });
    } catch (error) {
      if (refused.has(event)) return;
      refused.add(event);
      const { message } = /** @type {Error} */ (error);
      logger.warn(`the Gateway refused the event ${event}: ${message}`);
    }
  };
}

/**
 * @param {any} api
 * @param {Limits} limits
 */
function registerService(api, limits) {
  const { url = DEFAULT_URL, tokenFile, connectGraceMs, spawn } = api.pluginConfig ?? {};
  /** @type {Bridge | undefined} */
  let ours;
  /** @type {SpawnedSidecar | undefined} */
  let sidecar;
  api.registerService({
    id: ID,
    /** @param {any} ctx */
    start(ctx) {
      if (!tokenFile) {
        ctx.logger.warn(`not connected: set plugins.entries.${ID}.config.tokenFile`);
        return;
      }
      const gateway = api.runtime?.version;
      ours = new Bridge({
        url,
        tokenFile,
        identity: { plugin: ID, version: VERSION, gateway, hooks: hooksAllowed(ctx.config) },
        log: ctx.logger,
        emit: emitter(ctx),
        limits: { ...limits, connectGraceMs: connectGraceMs ?? limits.connectGraceMs },
      });
      shelf[SHARED]?.bridge.stop();
      shelf[SHARED] = { bridge: ours, runs: new Map(), advice: new Map() };
      ours.start();
      if (spawn) {
        const kick = ours.kick.bind(ours);
        sidecar = new SpawnedSidecar({ argv: spawn, log: ctx.logger, ready: kick });
        sidecar.start();
      }
    },
    async stop() {
      ours?.stop();
      // A restart inside the process keeps globalThis: leave nothing dead on it.
      if (shelf[SHARED]?.bridge === ours) delete shelf[SHARED];
      await sidecar?.stop();
    },
  });
}

/** @param {Limits} [limits] */
export function createPlugin(limits = LIMITS) {
  return {
    id: ID,
    name: "Mission Control",
    description: "Projects, tasks and agents of Mission Control, run by its sidecar",
    /** @param {any} api */
    register(api) {
      registerMethods(api);
      for (const tool of TOOLS) {
        api.registerTool((/** @type {any} */ ctx) => agentTool(ctx, tool, limits), { name: tool.name });
      }
      registerCommand(api);
      registerPulse(api, limits);
      registerScope(api, limits);
      registerAdvice(api);
      registerService(api, limits);
    },
  };
}

export default createPlugin();
