import type { Command } from "commander";
import { DualDbError } from "../errors.js";
import { configFor } from "../migrate/databases.js";
import { type FinalizeReport, finalize } from "../migrate/finalize.js";
import { confirmation } from "./confirmation.js";
import { countedAs, type Terminal, write } from "./terminal.js";
import { toolCommand } from "./tool.js";

const jsonHelp = `
Asks for the name of the PostgreSQL database where a person sits, and takes --confirm everywhere else.

The JSON document: { ok, database, exported: { directory, exportedAt, source, tables, leftOut } | null, checks: [{ name, ok,
detail }], already, error?: { code, message, details: { checks } } }.

Exit status: 0 PostgreSQL goes on alone; 3 the gate is closed; 1 it cannot be told; 2 the name was not typed.`;

/** `dualdb finalize`: ends the way back. */
export function finalizeCommand(terminal: Terminal, finish: (status: number) => void): Command {
  return toolCommand(
    {
      name: "finalize",
      description: "end the way back: export SQLite's rows, and let PostgreSQL go on alone",
      jsonHelp,
      without: ["tables", "epoch"],
      configure: (command) =>
        command
          .option("--confirm <name>", "the name of the PostgreSQL database, instead of typing it when asked")
          .option("--dir <folder>", "where SQLite's rows are exported to (default: migration-data)"),
      run: async ({ tables, ...options }, own) => {
        if (tables !== undefined)
          throw new DualDbError("CONFIG_INVALID", "finalize takes no --tables: it is about all.");
        const { dir } = own;
        const confirm = await confirmation(
          {
            given: own.confirm,
            warning: "This ends the way back to SQLite, for good.",
            what: "the name of the PostgreSQL database",
            name: configFor(options).postgres?.database ?? null,
            signal: options.signal,
          },
          terminal,
        );
        return finalize({ ...options, confirm, ...(dir === undefined ? {} : { directory: String(dir) }) });
      },
      print,
      status: () => 0,
    },
    terminal,
    finish,
  );
}

function print({ database, exported, already }: FinalizeReport, terminal: Terminal, quiet: boolean): void {
  if (quiet) return;
  const line = (text: string) => write(terminal.stdout, terminal, "green", text);
  if (exported !== null) {
    const rows = exported.tables.reduce((sum, table) => sum + table.rows, 0);
    line(`exported   ${countedAs("row", rows)} of ${exported.source.name} to ${exported.directory}, with checksums`);
  }
  line(`finalized  ${database} ${already ? "went on alone already" : "goes on alone"}`);
  write(terminal.stdout, terminal, null, "Keep USE_POSTGRES_PRIMARY=true; the variables that name SQLite can go.");
}
