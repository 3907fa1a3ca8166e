import { type Command, Option } from "commander";
import { type GateName, type GateReport, gate, gates } from "../migrate/gates.js";
import { type MigrationStatus, migrationStatus } from "../migrate/status.js";
import { printGate, printStatus } from "./status-report.js";
import type { Terminal } from "./terminal.js";
import { toolCommand } from "./tool.js";

const jsonHelp = `
The JSON document: { ok, at, databases, flags, requested, step, primary, since, finalized, sqlite, postgres, tables:
[{ table, sqlite, postgres, owed }], unmirrored, conflicts: the first 1,000 of [{ table, key }],
conflictCount, runs: [{ command, outcome: running | done | differs | failed | interrupted, beganAt, endedAt, facts }],
latency: { sqlite, postgres }, rollBack: { possible, lost, rows, estimatedMs, text }, next: { gate, set, command,
text, ready, blocked: [check] } }. With --gate { ok, gate, open, checks: [{ name, ok: true | false | null, detail }] },
where null means that it cannot be told. Times are Unix milliseconds.

Exit status: 0 as it should be; 1 a database cannot be reached; 3 rows are refused, or were written on both sides.
With --gate: 0 open, 3 a check is not met, 1 none has failed but one cannot be told.`;

/** `dualdb status`: where the databases are on the way, and whether the next step is safe. */
export function statusCommand(terminal: Terminal, finish: (status: number) => void): Command {
  return toolCommand<MigrationStatus | GateReport>(
    {
      name: "status",
      description: "show where both databases are on the way, and whether the next step is safe; changes nothing",
      jsonHelp,
      without: ["epoch"],
      configure: (command) =>
        command.addOption(new Option("--gate <step>", "check one step only").choices(Object.keys(gates))),
      run: (options, own) =>
        own.gate === undefined ? migrationStatus(options) : gate(String(own.gate) as GateName, options),
      print: (result, to, quiet) => ("gate" in result ? printGate(result, to, quiet) : printStatus(result, to, quiet)),
      status: (result) => ("gate" in result ? gateStatus(result) : glanceStatus(result)),
    },
    terminal,
    finish,
  );
}

function gateStatus({ open }: GateReport): 0 | 1 | 3 {
  if (open === null) return 1;
  return open ? 0 : 3;
}

function glanceStatus({ sqlite, postgres, conflictCount }: MigrationStatus): 0 | 1 | 3 {
  const sides = [sqlite, postgres].filter((side) => side !== null);
  if (sides.some((side) => !side.reachable && side.error.code !== "SCHEMA_MISSING")) return 1;
  const isRefused = sides.some((side) => side.reachable && side.refused.length > 0);
  return isRefused || conflictCount > 0 ? 3 : 0;
}
