/** The present item of a stream that comes in pages. */
export class Cursor<T> {
  readonly #pages: AsyncIterator<T[]>;
  #page: T[] = [];
  #at = 0;
  #ended = false;

  constructor(pages: AsyncIterable<T[]>) {
    this.#pages = pages[Symbol.asyncIterator]();
  }

  /** undefined where the page is used up. */
  get item(): T | undefined {
    return this.#page[this.#at];
  }

  /** Whether there is no further page. */
  get ended(): boolean {
    return this.#ended;
  }

  next(): void {
    this.#at++;
  }

  /** Fetches the next page where this one is used up. */
  async fill(): Promise<void> {
    while (this.item === undefined && !this.#ended) {
      const { value, done } = await this.#pages.next();
      this.#ended = done === true;
      this.#page = done === true ? [] : value;
      this.#at = 0;
    }
  }

  /** Leaves the stream, wherever it is. */
  async leave(): Promise<void> {
    this.#ended = true;
    await this.#pages.return?.();
  }
}
