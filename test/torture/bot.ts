import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import type { DualDatabase } from "../../src/database.js";
import type { Logger } from "../../src/logger.js";
import type { FaultPoint } from "../../src/shadow/mirror.js";
import type { AddedColumn } from "./added-columns.js";
import { Caller, codeOf } from "./caller.js";
import { DirectAccess } from "./console.js";
import { Lane } from "./lane.js";
import { LogWriter, readLog } from "./log.js";
import { type KnownRow, Model } from "./model.js";
import { lanes, prefixOf } from "./names.js";
import type { FromBot, StartOrder, ToBot, TrapOrder } from "./orders.js";
import { Peers } from "./peers.js";
import { Random } from "./random.js";
import { perform, type Reply, type Request } from "./requests.js";

const settleWithinMs = 60_000;

/** A bot process: it does what it is told over its channel, and everything that it does stands in its log before it happens. */
class Bot {
  readonly #package: { DualDatabase: typeof DualDatabase };
  #database: DualDatabase | null = null;
  #log: LogWriter | null = null;
  #lanes: Promise<unknown> = Promise.resolve();
  #stopping = false;
  #trap: TrapOrder | null = null;
  #columns: AddedColumn[] = [];
  #resume: () => void = () => {};
  #speak: () => void = () => {};

  constructor(loaded: { DualDatabase: typeof DualDatabase }) {
    this.#package = loaded;
  }

  async take(order: ToBot): Promise<void> {
    if (order.do === "start") await this.#start(order);
    if (order.do === "stop") await this.#stop();
    if (order.do === "speak") this.#speak();
    if (order.do === "ask") await this.#answer(order.number, order.request);
    if (order.do === "trap") this.#trap = order;
    if (order.do === "resume") this.#trap = null;
    if (order.do === "resume" || order.do === "resume-and-keep-trap") this.#resume();
    if (order.do === "know") this.#columns.push(order.column);
    if (order.do === "settle") await this.#settle(order.env, new LogWriter(order.log));
  }

  async #start(order: StartOrder): Promise<void> {
    const log = new LogWriter(path.join(order.logs, order.log));
    const database = this.#open(order.env, log);
    this.#log = log;
    this.#stopping = false;
    this.#columns = [...order.columns];
    const model = new Model(JSON.parse(readFileSync(order.known, "utf8")) as KnownRow[]);
    for (const earlier of order.earlier)
      for (const line of readLog(path.join(order.logs, earlier))) model.take(earlier, line);
    const caller = new Caller(log, model, order.log, order.route);
    const failure = await database.open().then(
      () => null,
      (error: unknown) => `${codeOf(error)} ${String(error)}`,
    );
    log.write({ is: "opened", failure, wantsPostgres: order.wantsPostgres });
    await tell({ is: "started" });
    const counting = setInterval(() => void tell({ is: "answered", ...caller.answered }), 20);
    const spoken = order.quiet ? new Promise<void>((resolve) => (this.#speak = resolve)) : null;
    this.#lanes = Promise.resolve(spoken)
      .then(() => this.#work(order, database, caller, model))
      .finally(() => clearInterval(counting));
  }

  #work(order: StartOrder, database: DualDatabase, caller: Caller, model: Model): Promise<unknown> {
    const peers = new Peers(order.logs, order.log.split("-")[0] ?? order.log);
    const direct = new DirectAccess(order.direct);
    const running = Array.from({ length: lanes + 1 }, (_, number) => {
      const owner = { round: order.round, slot: order.slot, slots: order.slots, lane: number };
      const prefix = prefixOf(owner, order.life);
      const random = new Random(order.seed, prefix);
      const lane = new Lane({ database, caller, model, random, owner, peers, direct, prefix }, this.#columns);
      const isOver = () => this.#stopping;
      return number < lanes ? lane.run(isOver) : lane.watch(isOver);
    });
    return Promise.all(running);
  }

  async #stop(): Promise<void> {
    this.#stopping = true;
    this.#resume();
    this.#speak();
    await this.#lanes;
    await this.#database?.close();
    this.#log?.close();
    this.#database = null;
    this.#log = null;
    await tell({ is: "stopped" });
  }

  async #answer(number: number, request: Request): Promise<void> {
    const database = this.#database;
    if (database === null) return;
    const reply: Reply = await perform(database, request).then(
      (rows) => ({ rows: rows.map((row) => ({ ...row })) }),
      (error: unknown) => ({ code: codeOf(error), message: String(error) }),
    );
    await tell({ is: "told", number, reply });
  }

  /** Opens with the shadow on and waits until both sides agree that nothing is owed. */
  async #settle(env: NodeJS.ProcessEnv, log: LogWriter): Promise<void> {
    const database = this.#open(env, log);
    const until = Date.now() + settleWithinMs;
    let look: FromBot = { is: "unsettled", status: "nobody has looked" };
    while (look.is !== "settled" && Date.now() < until) {
      // On a busy machine a side may not answer in time: that says nothing yet.
      look = await settledLook(database).catch(
        (error: unknown): FromBot => ({ is: "unsettled", status: `${codeOf(error)} ${String(error)}` }),
      );
      await sleep(20);
    }
    await tell(look);
    await database.close();
    log.close();
  }

  #open(env: NodeJS.ProcessEnv, log: LogWriter): DualDatabase {
    const internals = { clock: Date.now, reached: (point: FaultPoint) => this.#reached(point) };
    this.#database = new this.#package.DualDatabase({ env, logger: logging(log) }, internals);
    return this.#database;
  }

  async #reached(point: FaultPoint): Promise<void> {
    const trap = this.#trap;
    if (trap === null || trap.point !== point || this.#stopping) return;
    if (trap.skip > 0) {
      this.#trap = { ...trap, skip: trap.skip - 1 };
      return;
    }
    this.#trap = null;
    this.#log?.write({ is: "event", event: "trapped", fields: { point, action: trap.action } });
    if (trap.action === "kill") process.kill(process.pid, "SIGKILL");
    const resumed = new Promise<void>((resolve) => {
      this.#resume = resolve;
    });
    await tell({ is: "trapped", point });
    await resumed;
  }
}

/** One look at both sides, after what is owed has been carried. */
async function settledLook(database: DualDatabase): Promise<FromBot> {
  const drained = await database.drain({ timeoutMs: 1_000 });
  const status = await database.status();
  const { sqlite, postgres, primary } = status;
  const unsettled: FromBot = { is: "unsettled", status: JSON.stringify(status) };
  if (!sqlite?.reachable || !postgres?.reachable || drained.pending > 0) return unsettled;
  if (sqlite.state.forced || sqlite.state.primary !== postgres.state.primary) return unsettled;
  const left = sqlite.journal.entries + postgres.journal.entries;
  if (left > 0 && drained.quarantined === 0) return unsettled;
  return { is: "settled", primary, refused: [...sqlite.refused, ...postgres.refused] };
}

function tell(message: FromBot): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, () => resolve());
    else resolve();
  });
}

const ignore = () => {};

function logging(log: LogWriter): Logger {
  const write = (fields: object) => {
    const event = "event" in fields ? String(fields.event) : "?";
    log.write({ is: "event", event, fields: { ...fields } });
  };
  return { debug: ignore, info: write, warn: write, error: write };
}

const [dist = ""] = process.argv.slice(2);
const bot = new Bot(await import(pathToFileURL(path.join(dist, "database.js")).href));
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.on("message", (order: ToBot) => void bot.take(order));
await tell({ is: "ready" });
