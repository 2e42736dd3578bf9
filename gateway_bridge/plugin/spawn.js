/** Spawn mode: the sidecar starts and ends with the Gateway, and is started again when it dies. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export const SPAWN_LIMITS = Object.freeze({
  /** Before the first new start; doubled with each that follows soon. */
  restartMinMs: 50,
  restartMaxMs: 10_000,
  /** A sidecar that ran for so long had started well. */
  healthyMs: 10_000,
  /** From SIGTERM to SIGKILL; the Gateway grants its services five seconds in all. */
  graceMs: 4_000,
});

/** @typedef {{[name in keyof typeof SPAWN_LIMITS]: number}} SpawnLimits */

/** What the sidecar prints first once it can be reached. */
const READY = "mission control listens on ";
/** Of the Gateway's environment, which holds keys of models, no more than a sidecar needs. */
const PASSED_ON = /^(PATH|HOME|USER|LOGNAME|LANG|LC_.*|TZ|TMPDIR|OPENCLAW_STATE_DIR|MISSION_CONTROL_.*)$/;

/** @param {NodeJS.ProcessEnv} env */
export function passedOn(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => PASSED_ON.test(name)));
}

/**
 * @typedef {object} SpawnOptions
 * @property {string[]} argv  ends by itself when its standard input does, so none outlives us
 * @property {import("./bridge.js").Log} log
 * @property {() => void} ready  called each time a sidecar can be reached
 * @property {SpawnLimits} [limits]
 */

export class SpawnedSidecar {
  #argv;
  #log;
  #ready;
  #limits;
  /** @type {import("node:child_process").ChildProcess | undefined} */
  #child;
  /** @type {NodeJS.Timeout | undefined} */
  #retry;
  #failures = 0;
  #stopped = false;
  #told = "";

  /** @param {SpawnOptions} options */
  constructor({ argv, log, ready, limits = SPAWN_LIMITS }) {
    this.#argv = argv;
    this.#log = log;
    this.#ready = ready;
    this.#limits = limits;
  }

  /** The process id of the sidecar that runs now. */
  get pid() {
    return this.#child?.pid;
  }

  start() {
    const [command = "", ...args] = this.#argv;
    const startedAt = performance.now();
    const child = spawn(command, args, {
      env: passedOn(process.env),
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    // An end that was written to nobody must not end the Gateway.
    child.stdin.on("error", () => {});
    createInterface({ input: child.stdout }).on("line", (line) => this.#said(line));
    createInterface({ input: child.stderr }).on("line", (line) => this.#log.warn(line));
    let over = false;
    /** @param {string} how */
    const ended = (how) => {
      if (over) return;
      over = true;
      this.#ended(how, performance.now() - startedAt);
    };
    child.on("error", (error) => ended(error.message));
    child.on("exit", (code, signal) => ended(signal ?? `exit code ${code}`));
  }

  /** Ends it and resolves when it has gone; nothing is started any more. */
  async stop() {
    this.#stopped = true;
    clearTimeout(this.#retry);
    const child = this.#child;
    if (!child || child.pid === undefined || child.exitCode !== null || child.signalCode) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), this.#limits.graceMs);
    await gone;
    clearTimeout(timer);
  }

  /** @param {string} line */
  #said(line) {
    this.#log.info(line);
    if (line.startsWith(READY)) this.#ready();
  }

  /**
   * @param {string} how
   * @param {number} lastedMs
   */
  #ended(how, lastedMs) {
    this.#child = undefined;
    if (this.#stopped) return;
    if (lastedMs >= this.#limits.healthyMs) this.#failures = 0;
    const { restartMinMs, restartMaxMs } = this.#limits;
    const delay = Math.min(restartMaxMs, restartMinMs * 2 ** Math.min(this.#failures++, 16));
    this.#tell(`the sidecar ended (${how}); it is started again`);
    this.#retry = setTimeout(() => this.start(), delay);
  }

  /** @param {string} text  said once for ends that repeat */
  #tell(text) {
    if (text !== this.#told || this.#failures === 1) this.#log.warn(text);
    this.#told = text;
  }
}
