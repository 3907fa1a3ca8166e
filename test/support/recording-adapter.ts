import type { Adapter, PerSide } from "../../src/adapter.js";
import type { Side, Statement } from "../../src/engines/engine.js";

/** An adapter that keeps what it was asked for, as it stands for one side. */
export interface RecordingAdapter extends Adapter {
  readonly statements: readonly Statement[];
}

export function recordingAdapter(adapter: Adapter, side: Side): RecordingAdapter {
  const statements: Statement[] = [];
  const record = (statement: PerSide) => statements.push(typeof statement === "function" ? statement(side) : statement);
  return {
    statements,
    read(query) {
      record(query.statement);
      return adapter.read(query);
    },
    write(asked) {
      asked.forEach(record);
      return adapter.write(asked);
    },
  };
}
