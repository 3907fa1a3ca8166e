import { readFileSync } from "node:fs";
import fc from "fast-check";
import sql, { join } from "sql-template-tag";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MessageFilter } from "../../src/services/messages.js";
import type { MessageRecord } from "../../src/services/records.js";
import { searchWords } from "../../src/services/search.js";
import { stopWords } from "../../src/services/stop-words.js";
import { freshPostgres, postgresServers } from "../support/databases.js";
import { runAt } from "../support/postgres.js";
import { postgresSide, type ServiceSide, serviceSides } from "../support/service-sides.js";
import { openServices, origin, type Services } from "../support/services.js";

describe("searchWords", () => {
  it.each([
    ["", null],
    [" \t\n\u3000", null],
    ["Hello, World!", ["Hello", "World"]],
    ["don't", []],
    ["the cat and THE dog", ["cat", "dog"]],
    ["C++", ["C"]],
    ["foo-bar_baz", ["foo", "bar", "baz"]],
    ["cat cat", ["cat"]],
    ['"title:x" NOT', ["title", "x"]],
    ["\ud83d\ude00 !?", []],
    ["\u65e5\u672c\u8a9e", ["\u65e5\u672c\u8a9e"]],
    ["cafe\u0301", ["cafe\u0301"]],
    ["a\0b \ud800c", ["b", "c"]],
    [`ok ${"a".repeat(2_047)}`, []],
  ])("of %j", (text, words) => {
    expect(searchWords(text)).toEqual(words);
  });

  it("knows the stop words of every PostgreSQL", async () => {
    for (const { url } of postgresServers) {
      const vector = "SELECT word FROM unnest($1::text[]) AS word WHERE to_tsvector('english', word)::text <> ''";
      expect(await runAt(url, vector, [[...stopWords]])).toEqual([]);
    }
  });
});

const contents = [
  "The quick brown fox jumps over the lazy dog",
  "Don't panic: it's written in C++ and node.js",
  "foo-bar foo_bar title:x NOT OR NEAR AND",
  "see https://example.com/a/b.html?x=1 or mail a@b.co about /usr/local/bin v1.2.3",
  "caf\u00e9 na\u00efve \u65e5\u672c\u8a9e \u043f\u0440\u0438\u0432\u0435\u0442",
  "emoji \ud83d\ude00 party \ud83c\udf89",
  'quotes "inside" and 100% of 1e5 (parentheses) * ^ ~',
  "cats running generally with the organizations",
];

describe.each(serviceSides)("search on $name", (side) => {
  let services: Services;
  beforeAll(async () => {
    services = await openServices(side);
    for (const [n, messageContent] of contents.entries()) {
      await services.messages.saveHumanMessage({ ...origin, channelId: `channel${n % 2}`, messageContent });
    }
    await services.messages.saveToolExecution({ ...origin, username: "grace", toolName: "web_search", toolArgs: {} });
  });
  afterAll(() => services.close());

  const find = async (searchText: string, filter: object = {}) => {
    const found = await services.messages.queryMessages({ searchText, ...filter });
    return found.map(({ message_content }) => contents.indexOf(message_content)).sort((one, other) => one - other);
  };

  it.each([
    ["FOX", [0]],
    ["fox dog", [0]],
    ["fox cat", []],
    ["don't panic", [1]],
    ["C++", [1]],
    ["foo-bar", [2]],
    ["title:x", [2]],
    ["NEAR", [2]],
    ["a@b.co", [3]],
    ["https://example.com", [3]],
    ["usr/local", [3]],
    ["node.js", [1]],
    ["1.2.3", [3]],
    ["1e5", [6]],
    ["caf\u00e9", [4]],
    ["\u65e5\u672c\u8a9e", [4]],
    ["\u043f\u0440\u0438\u0432\u0435\u0442", [4]],
    ['"inside"', [6]],
    ["party \ud83c\udf89", [5]],
    ["cat run", [7]],
    ["organization", [7]],
    ["don't", []],
    ["NOT", []],
    ['"', []],
    ["\ud83d\ude00", []],
    ["'; DROP TABLE messages; --", []],
    ["web_search grace", [-1]],
  ])("finds %j", async (text, expected) => {
    expect(await find(text)).toEqual(expected);
  });

  it("takes blank text for no filter", async () => {
    for (const text of ["", "  ", "\n\t"]) expect(await find(text)).toHaveLength(contents.length + 1);
  });

  it("applies the other filters as well, and pages", async () => {
    expect(await find("cats OR fox")).toEqual([]);
    expect(await find("dog", { channelId: "channel0", senderType: "human", startTime: 0 })).toEqual([0]);
    expect(await find("dog", { channelId: "channel1" })).toEqual([]);
    expect(await find("dog", { senderType: "tool" })).toEqual([]);
    expect(await find("dog", { limit: 1, offset: 1 })).toEqual([]);
  });

  it("takes any text", async () => {
    const long = ["a".repeat(10_000), "a b ".repeat(2_500), '"'.repeat(10_000), "\ud83d\ude00".repeat(5_000)];
    const words = Array.from({ length: 3_000 }, (_, n) => `w${n}`).join(" ");
    for (const text of [
      ...long,
      words,
      "\0",
      "\ud800",
      "NEAR(",
      "*",
      "^a",
      "-a",
      "a AND",
      "{a}: b",
      ":*",
      "<->",
      "\\",
    ]) {
      expect(await find(`${text} zzz`)).toEqual([]);
      await find(text);
    }
  });
});

const [sqlite, ...servers] = serviceSides;

describe.each(servers)("search on SQLite and $name", (server) => {
  let both: Services[];
  beforeAll(async () => {
    both = await Promise.all([sqlite, server].map((side) => openServices(side as typeof server)));
  });
  afterAll(() => Promise.all(both.map((services) => services.close())));

  const save = (messageContent: string, channelId: string) =>
    Promise.all(both.map(({ messages }) => messages.saveHumanMessage({ ...origin, channelId, messageContent })));
  const count = (searchText: string, channelId: string) =>
    Promise.all(
      both.map(async ({ messages }) => (await messages.queryMessages({ searchText, channelId, limit: 1_000 })).length),
    );

  it("finds the same for any ASCII text and any part of it", async () => {
    let run = 0;
    const text = fc
      .string({ unit: "binary-ascii", minLength: 1, maxLength: 40 })
      .map((ascii) => ascii.replaceAll("\0", " "));
    const property = fc.asyncProperty(text, fc.nat(39), fc.nat(39), async (content, from, to) => {
      const channel = `ascii${run++}`;
      await save(content, channel);
      for (const search of [content, content.slice(from, to)]) {
        const [here, there] = await count(search, channel);
        expect(there).toBe(here);
      }
    });
    await fc.assert(property, { numRuns: 60 });
  });

  describe("together with each filter", () => {
    const userId = origin.userId;
    const senders = ["human", "ai", "tool"] as const;
    const start = 1_700_000_000_000;
    /** Every content eight times, from so many combinations of people, places and times. */
    const said = contents.flatMap((message_content) =>
      Array.from({ length: 8 }, (_, copy) => ({
        timestamp: start + copy,
        created_at: start / 1_000,
        sender_type: senders[copy % 3] ?? "human",
        user_id: copy & 1 ? userId : "other",
        channel_id: copy & 2 ? "filtered" : "other",
        guild_id: copy & 4 ? "guild" : null,
        message_content,
      })),
    );
    const inserts = said.map(
      (message, index) => sql`INSERT INTO messages
        (id, timestamp, created_at, sender_type, user_id, channel_id, guild_id, message_content) VALUES (${join([
          `said${String(index).padStart(3, "0")}`,
          ...Object.values(message),
        ])})`,
    );
    let everywhere: Services[];
    beforeAll(async () => {
      everywhere = await Promise.all([sqlite, server].map((side) => openServices(side as typeof server)));
      for (const { adapter } of everywhere) await adapter.write(inserts);
    });
    afterAll(() => Promise.all(everywhere.map((services) => services.close())));

    const filters: readonly (readonly [MessageFilter, (message: MessageRecord) => boolean])[] = [
      [{ userId }, ({ user_id }) => user_id === userId],
      [{ channelId: "filtered" }, ({ channel_id }) => channel_id === "filtered"],
      [{ guildId: "guild" }, ({ guild_id }) => guild_id === "guild"],
      [{ senderType: "ai" }, ({ sender_type }) => sender_type === "ai"],
      [{ startTime: start + 2 }, ({ timestamp }) => timestamp >= start + 2],
      [{ endTime: start + 5 }, ({ timestamp }) => timestamp <= start + 5],
      [
        { startTime: start + 2, endTime: start + 5, userId, channelId: "filtered" },
        ({ timestamp }) => timestamp === start + 3,
      ],
    ];

    it.each([
      ["don't", []],
      ["C++", [1]],
      ["foo-bar", [2]],
      ["NOT", []],
      ['"', []],
      ["a@b.co", [3]],
      ["title:x", [2]],
      [" \n", [0, 1, 2, 3, 4, 5, 6, 7]],
      ["\ud83d\ude00", []],
      ["\u65e5\u672c\u8a9e", [4]],
      ["x".repeat(10_000), []],
      ["dog fox ".repeat(1_250), [0]],
    ])("gives of %j what filtering its rows gives", async (searchText, expected) => {
      const ask = (filter: MessageFilter) =>
        Promise.all(everywhere.map(({ messages }) => messages.queryMessages({ searchText, ...filter })));
      const [all = [], there] = await ask({});
      expect(there).toEqual(all);
      expect(all).toHaveLength(8 * expected.length);
      expect([...new Set(all.map(({ message_content }) => contents.indexOf(message_content)))].sort()).toEqual(
        expected,
      );
      for (const [filter, holds] of filters) {
        const filtered = all.filter(holds);
        expect(filtered.length > 0 && filtered.length < all.length).toBe(expected.length > 0);
        expect(await ask(filter)).toEqual([filtered, filtered]);
      }
    });
  });

  it("throws for no text at all", async () => {
    const codeUnits = fc.array(fc.integer({ min: 0xd700, max: 0xe0ff }), { maxLength: 20 });
    const loneSurrogates = codeUnits.map((units) => String.fromCharCode(...units));
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), loneSurrogates);
    const property = fc.asyncProperty(text, async (search) => {
      await count(search, "any");
    });
    await fc.assert(property, { numRuns: 60 });
  });
});

/** The rows of MIGRATION.md's table, with what they stand for, and whether SQLite and PostgreSQL find it. */
const differences: readonly {
  readonly row: string;
  readonly pairs: readonly (readonly [text: string, search: string])[];
  readonly found: readonly [boolean, boolean];
}[] = [
  {
    row: "skies / sky, dying / die",
    pairs: [
      ["skies", "sky"],
      ["dying", "die"],
    ],
    found: [false, true],
  },
  { row: "news / new", pairs: [["news", "new"]], found: [true, false] },
  {
    row: "3ds / 3d, mp3s / mp3 (words with digits are not stemmed)",
    pairs: [
      ["3ds", "3d"],
      ["mp3s", "mp3"],
    ],
    found: [true, false],
  },
  {
    row: "x\u00b2 / x, a private-use character before a word / the word",
    pairs: [
      ["x\u00b2", "x"],
      ["\ue000word", "word"],
    ],
    found: [false, true],
  },
  { row: "\u0130stanbul / istanbul", pairs: [["\u0130stanbul", "istanbul"]], found: [false, true] },
  {
    row: "\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3 / \u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 (final sigma)",
    pairs: [["\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3", "\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2"]],
    found: [true, false],
  },
  {
    row: "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e04\u0e23\u0e31\u0e1a / \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 (a part of a run without spaces)",
    pairs: [["\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e04\u0e23\u0e31\u0e1a", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35"]],
    found: [true, false],
  },
];

it("the table of MIGRATION.md has no row that is not tried here", () => {
  const section = readFileSync(new URL("../../MIGRATION.md", import.meta.url), "utf8")
    .split("| text / search |")[1]
    ?.split("\n\n")[0];
  const words = (found: boolean) => (found ? "found" : "not found");
  const rows = differences.map(({ row, found: [here, there] }) => `| ${row} | ${words(here)} | ${words(there)} |`);
  expect(section?.split("\n").slice(2)).toEqual(rows);
});

const utf8 = "C.UTF-8";

/** Whether a server has that locale: not every system has it. */
async function hasLocale(url: string): Promise<boolean> {
  return freshPostgres(url, utf8).then(
    () => true,
    () => false,
  );
}

const withLocale: ServiceSide[] = [];
for (const server of postgresServers) {
  if (await hasLocale(server.url)) withLocale.push(postgresSide(server, utf8));
  else process.stderr.write(`left out: the differences in search on ${server.name}, which has no locale ${utf8}\n`);
}

describe.each([...serviceSides.filter(({ side }) => side === "sqlite"), ...withLocale])(
  "the differences in search that MIGRATION.md names, on $name",
  (side) => {
    let services: Services;
    beforeAll(async () => {
      services = await openServices(side);
    });
    afterAll(() => services.close());

    const finds = async (text: string, search: string) => {
      const channelId = `${text} by ${search}`;
      await services.messages.saveHumanMessage({ ...origin, channelId, messageContent: text });
      return (await services.messages.queryMessages({ searchText: search, channelId })).length === 1;
    };

    it.each(differences)("$row", async ({ pairs, found: [here, there] }) => {
      for (const [text, search] of pairs) expect(await finds(text, search)).toBe(side.side === "sqlite" ? here : there);
    });

    it("a word is found by itself", async () => {
      for (const word of ["skies", "dying", "news", "3ds", "\u0130stanbul"]) expect(await finds(word, word)).toBe(true);
      expect(await finds("3ds", "3DS")).toBe(true);
    });

    it("\u00c4RGER and \u00e4rger are one word to both", async () => {
      expect(await finds("\u00c4RGER", "\u00e4rger")).toBe(true);
      expect(await finds("\u201cword\u201d \ud83d\ude00other", "word other")).toBe(true);
    });
  },
);

describe.each(postgresServers)("a database with the locale C on $name", (server) => {
  it("knows ASCII letters only", async () => {
    const services = await openServices(postgresSide(server, "C"));
    const find = async (messageContent: string, searchText: string) => {
      await services.messages.saveHumanMessage({ ...origin, channelId: messageContent, messageContent });
      return services.messages.queryMessages({ searchText, channelId: messageContent });
    };
    expect(await find("\u00c4RGER", "\u00e4rger")).toEqual([]);
    expect(await find("\u201cword\u201d", "word")).toEqual([]);
    expect(await find("\ud83d\ude00other", "other")).toEqual([]);
    await services.close();
  });
});
