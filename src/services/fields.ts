import type { Column, ForeignKey, Kind, Table } from "../data/table.js";
import type { JsonInput, NumberInput } from "./values.js";

/** A column as its record knows it: the kind, and whether it may be null. */
export interface Field<K extends Kind = Kind, N extends boolean = boolean> {
  readonly kind: K;
  readonly notNull: N;
}

export type Fields = Readonly<Record<string, Field>>;

type FieldsNamed<Name extends string, F extends Field> = { readonly [P in Name]: F };

interface ValueOfKind {
  readonly text: string;
  readonly json: string;
  readonly integer: number;
  readonly bigint: number;
  readonly real: number;
  readonly boolean: 0 | 1;
  readonly blob: Uint8Array;
  readonly numeric: number;
  readonly other: never;
}

interface InputOfKind {
  readonly text: string | null | undefined;
  readonly json: JsonInput;
  readonly integer: NumberInput;
  readonly bigint: NumberInput;
  readonly real: NumberInput;
  readonly boolean: boolean | 0 | 1 | null | undefined;
  readonly blob: never;
  readonly numeric: never;
  readonly other: never;
}

/** What a record holds in such a column: JSON as text, booleans as 0 and 1, every other number as number. */
export type ValueOf<F extends Field> = F["notNull"] extends true
  ? ValueOfKind[F["kind"]]
  : ValueOfKind[F["kind"]] | null;

/** What a change of a record may give for such a column: undefined leaves it as it is, null empties it. */
export type InputOf<F extends Field> = F["notNull"] extends true
  ? NonNullable<InputOfKind[F["kind"]]> | undefined
  : InputOfKind[F["kind"]];

/** Columns of one kind that always have a value. */
export function required<K extends Kind, Name extends string>(kind: K, ...names: readonly Name[]) {
  return fieldsNamed<Name, Field<K, true>>(names, { kind, notNull: true });
}

/** Columns of one kind that may be null. */
export function nullable<K extends Kind, Name extends string>(kind: K, ...names: readonly Name[]) {
  return fieldsNamed<Name, Field<K, false>>(names, { kind, notNull: false });
}

/** The table with these columns, keyed by `id` as all of ours are. */
export function tableOf(
  name: string,
  fields: Fields,
  constraints: { readonly uniques?: Table["uniques"]; readonly foreignKeys?: readonly ForeignKey[] } = {},
): Table {
  const columns: Column[] = Object.entries(fields).map(([column, field]) => ({ name: column, ...field }));
  const { uniques = [], foreignKeys = [] } = constraints;
  return { name, columns, key: ["id"], uniques, foreignKeys };
}

function fieldsNamed<Name extends string, F extends Field>(names: readonly Name[], field: F): FieldsNamed<Name, F> {
  return Object.fromEntries(names.map((name) => [name, field])) as FieldsNamed<Name, F>;
}
