import type { Adapter, PerSide, Query } from "../../src/adapter.js";
import type { Engine, Row, Statement, WriteResult } from "../../src/engines/engine.js";

/** An adapter straight on one engine, which keeps what it was asked for. */
export interface DirectAdapter extends Adapter {
  readonly statements: readonly Statement[];
}

export function directAdapter(engine: Engine): DirectAdapter {
  const statements: Statement[] = [];
  const resolve = (statement: PerSide): Statement => {
    const resolved = typeof statement === "function" ? statement(engine.side) : statement;
    statements.push(resolved);
    return resolved;
  };
  return {
    statements,
    read({ statement, columns }: Query): Promise<Row[]> {
      return engine.read(resolve(statement), columns === undefined ? {} : { columns });
    },
    write(asked: readonly PerSide[]): Promise<WriteResult[]> {
      return engine.write(asked.map(resolve));
    },
  };
}
