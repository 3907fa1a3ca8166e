import { startProxy } from "../../test/support/proxy.js";
import { atMost, compare, type Measure, type Way } from "../harness.js";
import { messagesFrom } from "../messages.js";
import type { Pair, Scene } from "../scene.js";

const awayMs = 50;

/** Whether it matters to a save on SQLite where PostgreSQL is. */
export const shadowedSave: Measure = {
  name: "shadowed-save",
  async run(scene) {
    const far = scene.keep(await startProxy(scene.server.port));
    const dead = scene.keep(await startProxy(scene.server.port));
    const ways = [
      await shadowed(scene, "near", await scene.pair(), true),
      await shadowed(scene, "far", through(far.port, await scene.pair()), true),
      await shadowed(scene, "dead", through(dead.port, await scene.pair()), false),
    ];
    far.delay(awayMs);
    dead.refuse();
    dead.cut();
    const times = await compare(ways, { rounds: scene.count(30), calls: 100 });
    const save = (where: string) => `save on SQLite, shadow on, PostgreSQL ${where} / near`;
    return [
      atMost(save(`${awayMs} ms away`), times.ratio("far", "near"), 1.1, times.detail),
      atMost(save("dead"), times.ratio("dead", "near"), 1.1, times.detail),
    ];
  },
};

async function shadowed(scene: Scene, name: string, pair: Pair, isAlive: boolean): Promise<Way> {
  const database = await scene.open(pair, "USE_POSTGRES_SHADOW");
  await database.drain();
  const next = messagesFrom(2);
  const way = { name, once: () => database.messageService.saveHumanMessage(next()) };
  return isAlive ? { ...way, settle: () => database.drain() } : way;
}

function through(port: number, { file, url }: Pair): Pair {
  const moved = new URL(url);
  moved.port = String(port);
  return { file, url: moved.href };
}
