import { type Command, Option } from "commander";
import type { Side } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { configFor } from "../migrate/databases.js";
import { nameToConfirm, type RearmReport, rearm } from "../migrate/rearm.js";
import { confirmation } from "./confirmation.js";
import { countedAs, type Terminal, write } from "./terminal.js";
import { toolCommand } from "./tool.js";

const jsonHelp = `
For databases that have lost sight of each other: one was restored from a backup, or the SQLite file is lost. Asks for
the name of the database whose rows are given up where a person sits, and takes --confirm everywhere else.

The JSON document: { ok, primary, created, armed, unmirrored: [{ table, reason }], owed, error?: { code, message,
details } }.

Exit status: 0 they are a pair again; 1 it could not be done; 2 the name was not typed.`;

/** `dualdb rearm`: makes a pair anew, with one side's rows. */
export function rearmCommand(terminal: Terminal, finish: (status: number) => void): Command {
  return toolCommand(
    {
      name: "rearm",
      description: "make the two databases a pair anew after a restore: one side's rows replace the other's",
      jsonHelp,
      without: ["tables", "epoch"],
      configure: (command) =>
        command
          .addOption(
            new Option("--primary <side>", "the side whose rows count")
              .choices(["sqlite", "postgres"])
              .makeOptionMandatory(),
          )
          .option("--confirm <name>", "the name of the other database, instead of typing it when asked"),
      run: async ({ tables, epochs, ...options }, own) => {
        if (tables !== undefined || epochs !== undefined)
          throw new DualDbError("CONFIG_INVALID", "rearm takes no --tables and no --epoch: it is about all.");
        const primary = own.primary as Side;
        const name = nameToConfirm(configFor(options), primary);
        const other = primary === "sqlite" ? "PostgreSQL" : "SQLite";
        const confirm = await confirmation(
          {
            given: own.confirm,
            warning: `What only ${other} has is deleted there as soon as rows are mirrored.`,
            what: `the name of the ${other} database`,
            name: name === "" ? null : name,
            signal: options.signal,
          },
          terminal,
        );
        return rearm({ ...options, primary, confirm });
      },
      print,
      status: () => 0,
    },
    terminal,
    finish,
  );
}

function print({ primary, created, armed, unmirrored, owed }: RearmReport, terminal: Terminal, quiet: boolean): void {
  const line = (text: string) => write(terminal.stdout, terminal, "green", text);
  if (!quiet && created !== null) line(`created    ${created}`);
  if (!quiet) line(`armed      ${armed.join(", ")}`);
  for (const { table, reason } of unmirrored)
    write(terminal.stdout, terminal, "yellow", `left out   ${table}: ${reason}`);
  if (quiet) return;
  const [side, other, flag] =
    primary === "sqlite" ? ["SQLite", "PostgreSQL", "unset"] : ["PostgreSQL", "SQLite", "true"];
  line(`primary    ${side}; ${other} is owed ${countedAs("row", owed)}`);
  write(
    terminal.stdout,
    terminal,
    null,
    `Start the application with USE_POSTGRES_PRIMARY ${flag} and USE_POSTGRES_SHADOW=true, or run npx dualdb copy.`,
  );
}
