import { atMost, compare, type Measure } from "../harness.js";
import { messagesFrom } from "../messages.js";
import { insertText, rawSqlite, valuesOf } from "../raw.js";

/** What a save through the service costs on SQLite, beside the same INSERT with the driver alone. */
export const sqliteSave: Measure = {
  name: "sqlite-save",
  async run(scene) {
    const raw = scene.keep(await rawSqlite(await scene.sqliteFile()));
    const off = await scene.open({ file: await scene.sqliteFile() });
    const on = await scene.open(await scene.pair());
    const [next, nextOff, nextOn] = [messagesFrom(1), messagesFrom(1), messagesFrom(1)];
    const times = await compare(
      [
        { name: "raw", once: () => raw.execute({ sql: insertText.sqlite, args: valuesOf(next()) }) },
        { name: "journal off", once: () => off.messageService.saveHumanMessage(nextOff()) },
        { name: "journal on", once: () => on.messageService.saveHumanMessage(nextOn()) },
      ],
      { rounds: scene.count(40), calls: 100 },
    );
    return [
      atMost("save on SQLite, journal off / raw INSERT", times.ratio("journal off", "raw"), 1.25, times.detail),
      atMost("save on SQLite, journal on / raw INSERT", times.ratio("journal on", "raw"), 1.5, times.detail),
    ];
  },
};
