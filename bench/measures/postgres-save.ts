import { atMost, compare, type Measure } from "../harness.js";
import { messagesFrom } from "../messages.js";
import { insertText, RawPostgres, valuesOf } from "../raw.js";

/** What a save through the service costs with PostgreSQL primary, beside the same INSERT with the driver alone. */
export const postgresSave: Measure = {
  name: "postgres-save",
  async run(scene) {
    const raw = scene.keep(new RawPostgres(await scene.postgresUrl()));
    const service = await scene.open(await scene.pair(), "USE_POSTGRES_PRIMARY");
    const [next, nextMeasured] = [messagesFrom(3), messagesFrom(3)];
    const times = await compare(
      [
        { name: "raw", once: () => raw.query(insertText.postgres, valuesOf(next())) },
        { name: "journal on", once: () => service.messageService.saveHumanMessage(nextMeasured()) },
      ],
      { rounds: scene.count(40), calls: 100 },
    );
    return [atMost("save on PostgreSQL, journal on / raw INSERT", times.ratio("journal on", "raw"), 1.5, times.detail)];
  },
};
