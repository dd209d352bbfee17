/** A list that the service answers in pages. Each iteration begins at the start. */
export class Pages<Page extends { next_cursor: string | null }, Entry> implements AsyncIterable<Entry> {
  readonly #read: (cursor: string | undefined) => Promise<Page>
  readonly #entriesOf: (page: Page) => readonly Entry[]

  constructor(
    read: (cursor: string | undefined) => Promise<Page>,
    entriesOf: (page: Page) => readonly Entry[]
  ) {
    this.#read = read
    this.#entriesOf = entriesOf
  }

  /** Iterates the entries. The next page is requested when the entries of the one before have been taken. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Entry, void> {
    for await (const page of this.pages()) yield* this.#entriesOf(page)
  }

  /**
   * Iterates the pages.
   *
   * @param cursor the `next_cursor` of the page before the first one.
   */
  async *pages(cursor?: string): AsyncGenerator<Page, void> {
    let next: string | null | undefined = cursor
    while (next !== null) {
      const page: Page = await this.#read(next)
      yield page
      next = page.next_cursor
    }
  }
}
