import type { Side } from "../engines/engine.js";

/** One statement of a file. */
export interface FileStatement {
  readonly text: string;
  /** Line of its first word, from 1. */
  readonly line: number;
  /** Its first words, in upper case. */
  readonly words: readonly string[];
}

/**
 * The statements of an SQL file, as that side reads it: semicolons in comments, quotes, dollar quotes, parentheses and in the body of
 * a trigger (`BEGIN … END`) or of an SQL function (`BEGIN ATOMIC … END`) part nothing.
 */
export function splitStatements(text: string, side: Side): FileStatement[] {
  const statements: FileStatement[] = [];
  let open = new OpenStatement(side);
  for (const token of tokens(text, side)) {
    if (!open.endsAt(token)) continue;
    statements.push(...open.finish(text, token.start));
    open = new OpenStatement(side, token.end);
  }
  statements.push(...open.finish(text, text.length));
  return statements;
}

/** The first statement that begins, ends or marks a transaction. */
export function findTransactionControl(statements: readonly FileStatement[]): FileStatement | undefined {
  return statements.find(({ words: [first = "", second = ""] }) => {
    return (
      control.has(first) ||
      (first === "START" && second === "TRANSACTION") ||
      (first === "PREPARE" && second === "TRANSACTION")
    );
  });
}

const control = new Set(["BEGIN", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"]);

interface Token {
  readonly kind: "word" | "quoted" | "symbol";
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** The statement being read: knows whether a semicolon ends it. */
class OpenStatement {
  readonly #side: Side;
  readonly #from: number;
  readonly #words: string[] = [];
  #start: number | undefined;
  #depth = 0;
  #inBody = false;
  #previous = "";
  #beforePrevious = "";

  constructor(side: Side, from = 0) {
    this.#side = side;
    this.#from = from;
  }

  /** Takes the next token in; true for the semicolon that ends the statement. */
  endsAt(token: Token): boolean {
    const text = token.kind === "word" ? token.text.toUpperCase() : token.text;
    if (text === ";" && this.#depth === 0 && (!this.#inBody || this.#bodyHasEnded())) return true;
    this.#start ??= token.start;
    if (token.kind === "word" && this.#words.length < 4) this.#words.push(text);
    if (text === "(") this.#depth += 1;
    if (text === ")") this.#depth = Math.max(0, this.#depth - 1);
    this.#inBody ||= this.#depth === 0 && this.#opensBody(token.kind === "word" ? text : "");
    this.#beforePrevious = this.#previous;
    this.#previous = token.kind === "quoted" ? "" : text;
    return false;
  }

  finish(text: string, end: number): FileStatement[] {
    if (this.#start === undefined) return [];
    const line = text.slice(0, this.#start).split("\n").length;
    return [{ text: text.slice(this.#from, end).trim(), line, words: this.#words }];
  }

  /** As the SQLite shell decides it: the body's last statement has ended, and END follows. */
  #bodyHasEnded(): boolean {
    return this.#previous === "END" && (this.#beforePrevious === ";" || this.#beforePrevious === "ATOMIC");
  }

  #opensBody(word: string): boolean {
    if (this.#words[0] !== "CREATE") return false;
    if (this.#side === "postgres") return this.#previous === "BEGIN" && word === "ATOMIC";
    return word === "BEGIN" && (this.#words[1] === "TRIGGER" || this.#words[2] === "TRIGGER");
  }
}

const word = String.raw`[\p{L}_][\p{L}\p{N}_$]*`;
const string = `'[^']*(?:''[^']*)*(?:'|$)`;
const identifier = `"[^"]*(?:""[^"]*)*(?:"|$)`;
const comment = String.raw`--[^\n]*`;

/** What starts with none of these is a symbol of one character. */
const lexemes: Record<Side, RegExp> = {
  sqlite: new RegExp(
    String.raw`(?<skip>\s+|${comment}|/\*[^]*?(?:\*/|$))|(?<quoted>${string}|${identifier}|\x60[^\x60]*(?:\x60|$)|\[[^\]]*(?:\]|$))|(?<word>${word})`,
    "uy",
  ),
  postgres: new RegExp(
    String.raw`(?<skip>\s+|${comment})|(?<nested>/\*)|(?<dollar>\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$)|(?<quoted>[eE]'[^'\\]*(?:(?:''|\\[^])[^'\\]*)*(?:'|$)|${string}|${identifier})|(?<word>${word})`,
    "uy",
  ),
};

function* tokens(text: string, side: Side): Generator<Token> {
  const lexeme = lexemes[side];
  for (let start = 0, end = 0; start < text.length; start = end) {
    lexeme.lastIndex = start;
    const found = lexeme.exec(text);
    const { skip, nested, dollar, quoted, word } = found?.groups ?? {};
    end = nested
      ? endOfComment(text, start)
      : dollar
        ? endOfDollarQuote(text, start, dollar)
        : start + (found?.[0].length ?? 1);
    if (skip !== undefined || nested !== undefined) continue;
    const kind = word !== undefined ? "word" : quoted !== undefined || dollar !== undefined ? "quoted" : "symbol";
    yield { kind, text: text.slice(start, end), start, end };
  }
}

/** PostgreSQL's comments nest. */
function endOfComment(text: string, start: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = start;
  let depth = 0;
  for (let found = mark.exec(text); found !== null; found = mark.exec(text)) {
    depth += found[0] === "/*" ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
  return text.length;
}

function endOfDollarQuote(text: string, start: number, tag: string): number {
  const close = text.indexOf(tag, start + tag.length);
  return close === -1 ? text.length : close + tag.length;
}
