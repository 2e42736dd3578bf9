import assert from "node:assert/strict";
import { test } from "node:test";
import { BridgeError, toGatewayError, toToolFailure } from "../../gateway_bridge/plugin/errors.js";

/** @type {[object, string][]} */
const ADVICE = [
  [{ kind: "invalid" }, "Correct the arguments and call it again."],
  [{ kind: "conflict" }, "Read the present state first, then decide again."],
  [{ kind: "forbidden" }, "Do not repeat this call; go on without, or ask for help."],
  [{ kind: "limited", retryable: true }, "Try again in 1 s, or go on without."],
  [
    { kind: "limited", retryable: true, retry_after_ms: 2500 },
    "Try again in 3 s, or go on without.",
  ],
  [
    { kind: "unavailable", retryable: true, mayHaveExecuted: true },
    "It may have happened all the same: look before you repeat it.",
  ],
];

for (const [data, advice] of ADVICE) {
  test(`a model is told after ${JSON.stringify(data)}: ${advice}`, () => {
    const error = new BridgeError("it went wrong", /** @type {any} */ (data));
    const result = toToolFailure("log_event", error);
    assert.equal(result.content[0].text, `log_event failed: it went wrong. ${advice}`);
    assert.equal(result.details.status, "failed");
  });
}

test("an error that is none of ours is internal, and still answered", () => {
  assert.deepEqual(toGatewayError(new TypeError("a bug")), {
    code: "UNAVAILABLE",
    message: "a bug",
    details: { kind: "internal" },
    retryable: false,
  });
  assert.equal(toGatewayError(undefined).message, "undefined");
});
