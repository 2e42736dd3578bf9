/**
 * Refusals in three shapes: thrown by the bridge, answered to the Gateway, told to a model.
 *
 * `data` has the shape of the sidecar's JSON-RPC `error.data`, also when the link itself refuses,
 * so that a caller needs one way to read it.
 */

/**
 * @typedef {object} ErrorData
 * @property {string} kind  `invalid`, `unavailable`, …: the sidecar's taxonomy
 * @property {boolean} [retryable]
 * @property {number} [retry_after_ms]
 * @property {string} [reason]  set by the link: `bridge-down`, `bridge-lost`, `bridge-overload`, …
 * @property {boolean} [mayHaveExecuted]  set by the link: can the sidecar have seen the call?
 */

/** @type {Readonly<Record<string, string>>} */
const GATEWAY_CODES = Object.freeze({
  invalid: "INVALID_REQUEST",
  not_found: "NOT_FOUND",
  conflict: "CONFLICT",
  forbidden: "FORBIDDEN",
  unauthenticated: "FORBIDDEN",
  deadline: "UNAVAILABLE",
  limited: "UNAVAILABLE",
  unavailable: "UNAVAILABLE",
  internal: "UNAVAILABLE",
});

const JSONRPC_INTERNAL_ERROR = -32603;

/** The one error that a call over the bridge rejects with. */
export class BridgeError extends Error {
  /**
   * @param {string} message
   * @param {ErrorData} data
   */
  constructor(message, data) {
    super(message);
    this.name = "BridgeError";
    this.data = data;
  }
}

/**
 * @param {string} reason
 * @param {string} message
 * @param {{mayHaveExecuted: boolean, kind?: string}} outcome
 */
export function linkError(reason, message, { mayHaveExecuted, kind = "unavailable" }) {
  return new BridgeError(message, { kind, retryable: true, reason, mayHaveExecuted });
}

/**
 * @param {{code?: number, message?: string, data?: Partial<ErrorData>}} error  a JSON-RPC error
 */
export function fromWire({ code, message, data }) {
  const kind = code === JSONRPC_INTERNAL_ERROR ? "internal" : "invalid";
  return new BridgeError(message ?? "the sidecar refused without a reason", { kind, ...data });
}

/**
 * Errors cross module copies, where `instanceof` says no: only the shape is looked at.
 *
 * @param {unknown} error
 * @returns {{message: string, data: ErrorData}}
 */
function read(error) {
  const { message, data } = /** @type {Partial<BridgeError>} */ (error ?? {});
  return { message: message || String(error), data: { kind: "internal", ...data } };
}

/**
 * @param {unknown} error
 * @returns {{code: string, message: string, details: ErrorData, retryable: boolean,
 *   retryAfterMs?: number}}
 */
export function toGatewayError(error) {
  const { message, data } = read(error);
  return {
    code: GATEWAY_CODES[data.kind] ?? "UNAVAILABLE",
    message,
    details: data,
    retryable: data.retryable ?? false,
    ...(data.retry_after_ms === undefined ? {} : { retryAfterMs: data.retry_after_ms }),
  };
}

/** @param {ErrorData} data */
function advice({ kind, retryable, retry_after_ms, mayHaveExecuted }) {
  if (mayHaveExecuted) return "It may have happened all the same: look before you repeat it.";
  if (retryable) {
    const seconds = Math.max(1, Math.ceil((retry_after_ms ?? 1000) / 1000));
    return `Try again in ${seconds} s, or go on without.`;
  }
  if (kind === "invalid") return "Correct the arguments and call it again.";
  if (kind === "conflict") return "Read the present state first, then decide again.";
  return "Do not repeat this call; go on without, or ask for help.";
}

/**
 * A tool result that a model can act on; tools never throw.
 *
 * @param {string} tool
 * @param {unknown} error
 */
export function toToolFailure(tool, error) {
  const { message, data } = read(error);
  const text = `${tool} failed: ${message.replace(/\.?$/, ".")} ${advice(data)}`;
  return {
    content: [{ type: "text", text }],
    details: { ...data, status: "failed", message },
    isError: true,
  };
}
