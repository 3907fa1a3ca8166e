import type { MessageService } from "../../src/services/messages.js";
import { atMost, compare, type Figure, type Measure, type Way } from "../harness.js";
import { messagesFrom } from "../messages.js";
import { columns, fillSqlite, RawPostgres, rawSqlite } from "../raw.js";
import type { Pair, Scene } from "../scene.js";

const stored = 20_000;
const channels = Array.from({ length: 10 }, (_, index) => `2000000000000000${String(index).padStart(2, "0")}`);
const pointText = (mark: string) => `SELECT ${columns} FROM messages WHERE id = ${mark}`;
const pageText = (mark: string) =>
  `SELECT ${columns} FROM messages WHERE channel_id = ${mark} ORDER BY timestamp DESC, id DESC LIMIT 100`;

/** Point reads and pages through the service on either side, beside the driver alone; and PostgreSQL reads behind the fence. */
export const reads: Measure = {
  name: "reads",
  async run(scene) {
    const [near, moved] = [await filled(scene), await filled(scene)];
    const sqlite = await scene.open({ file: near.file });
    const fenced = await scene.open(near, "USE_POSTGRES_READ", "USE_POSTGRES_SHADOW");
    const postgres = await scene.open(moved, "USE_POSTGRES_PRIMARY");
    await fenced.drain({ timeoutMs: 60_000 });
    const client = scene.keep(await rawSqlite(near.file));
    const pool = scene.keep(new RawPostgres(moved.url));
    const rawSqliteReads = {
      point: (id: string) => client.execute({ sql: pointText("?"), args: [id] }),
      page: (channel: string) => client.execute({ sql: pageText("?"), args: [channel] }),
    };
    const rawPostgresReads = {
      point: (id: string) => pool.query(pointText("$1"), [id]),
      page: (channel: string) => pool.query(pageText("$1"), [channel]),
    };
    return [
      ...(await besideDriver(scene, "SQLite", sqlite.messageService, rawSqliteReads, near.ids)),
      ...(await besideDriver(scene, "PostgreSQL", postgres.messageService, rawPostgresReads, moved.ids)),
      await behindFence(
        scene,
        { ids: near.ids, service: fenced.messageService },
        { ids: moved.ids, service: postgres.messageService },
      ),
    ];
  },
};

interface Filled extends Pair {
  readonly ids: readonly string[];
}

interface RawReads {
  point(id: string): Promise<unknown>;
  page(channel: string): Promise<unknown>;
}

interface Reader {
  readonly ids: readonly string[];
  readonly service: MessageService;
}

async function filled(scene: Scene): Promise<Filled> {
  const pair = await scene.pair();
  const client = await rawSqlite(pair.file);
  await fillSqlite(client, messagesFrom(4), scene.count(stored));
  const { rows } = await client.execute("SELECT id FROM messages ORDER BY random() LIMIT 1000");
  client.close();
  return { ...pair, ids: rows.map(({ id }) => String(id)) };
}

async function besideDriver(
  scene: Scene,
  side: string,
  service: MessageService,
  raw: RawReads,
  ids: readonly string[],
): Promise<Figure[]> {
  const points = await compare(
    [{ name: "raw", once: (index) => raw.point(idAt(ids, index)) }, pointWay("service", { service, ids })],
    { rounds: scene.count(40), calls: 200 },
  );
  const pages = await compare(
    [
      { name: "raw", once: (index) => raw.page(channelAt(index)) },
      { name: "service", once: (index) => service.queryMessages({ channelId: channelAt(index), limit: 100 }) },
    ],
    { rounds: scene.count(40), calls: 20 },
  );
  return [
    atMost(`point read on ${side} / raw client`, points.ratio("service", "raw"), 1.15, points.detail),
    atMost(`page of 100 messages on ${side} / raw client`, pages.ratio("service", "raw"), 1.15, pages.detail),
  ];
}

async function behindFence(scene: Scene, fenced: Reader, unfenced: Reader): Promise<Figure> {
  const ways = [pointWay("unfenced", unfenced), pointWay("fenced", fenced)];
  const times = await compare(ways, { rounds: scene.count(40), calls: 200 });
  const measure = "fenced PostgreSQL read, nothing pending / unfenced";
  return atMost(measure, times.ratio("fenced", "unfenced"), 1.5, times.detail);
}

function pointWay(name: string, { service, ids }: Reader): Way {
  return { name, once: (index) => service.getMessageById(idAt(ids, index)) };
}

function idAt(ids: readonly string[], index: number): string {
  return ids[index % ids.length] ?? "";
}

function channelAt(index: number): string {
  return channels[index % channels.length] ?? "";
}
