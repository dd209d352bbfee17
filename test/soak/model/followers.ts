/** Consumers of the change feed, each of which reads it in its own way. */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { FeedConsumer, readChanges } from '../../support/feed.ts'
import type { TestService } from '../../support/service.ts'

/** The user and the segment that a consumer follows alone. */
const USER = '1'
const SEGMENT = 'A'

export class Followers {
  /** Reads everything after each step. */
  readonly #all = new FeedConsumer('start')
  /** Reads the changes of one user, each with a request of its own. */
  readonly #ofUser = new FeedConsumer('start')
  /** Begins with the members of one segment, and then reads its changes. */
  #ofSegment: FeedConsumer | undefined
  /** Reads some changes after each step, and continues after one in the middle of a page. */
  readonly #late = new FeedConsumer('start')

  /** Reads what is new. Throws if a change does not follow from those before it. */
  async read(service: TestService): Promise<void> {
    await this.#all.catchUp(service, '&limit=7')
    await this.#ofUser.catchUp(service, `&user_id=${USER}&limit=1`)
    await this.#readSegment(service)
    const { changes } = await readChanges(service, this.#late.cursor, '&limit=4')
    for (const change of changes.slice(0, 3)) {
      this.#late.apply(change)
      this.#late.cursor = change.cursor
    }
  }

  async #readSegment(service: TestService): Promise<void> {
    if (this.#ofSegment) {
      await this.#ofSegment.catchUp(service, `&segment=${SEGMENT}&limit=2`)
      return
    }
    const answer = await service.get(`/api/v1/segment/${SEGMENT}/users.csv?expires=true`)
    if (answer.status === 404) return
    this.#ofSegment = FeedConsumer.ofDownload(SEGMENT, answer)
  }

  /** Reads what is left. */
  async catchUp(service: TestService): Promise<void> {
    await this.read(service)
    await this.#late.catchUp(service, '&limit=3')
  }

  /** Lets time pass for all that has been read: every expiry is replaced. */
  moveExpiries(move: (time: string) => string): void {
    for (const consumer of [this.#all, this.#ofUser, this.#ofSegment, this.#late])
      consumer?.moveExpiries(move)
  }

  /**
   * Compares the segments of a user with those that follow from the feed.
   *
   * @param times when the request for the segments began and when it ended: a membership may have expired meanwhile.
   */
  agreeOnUser(user: string, segments: string[], times: string[]): void {
    const agree = (consumer: FeedConsumer, actual: string[], ofConsumer: string) => {
      const expected = times.map((time) => consumer.segmentsAt(user, time))
      const found = expected.find((slugs) => isDeepStrictEqual(slugs, actual))
      assert.deepEqual(actual, found ?? expected[0], `user ${user}, by the change feed ${ofConsumer}`)
    }
    agree(this.#all, segments, 'of everything')
    if (user === USER) agree(this.#ofUser, segments, 'of the user')
    const members = segments.filter((slug) => slug === SEGMENT)
    if (this.#ofSegment) agree(this.#ofSegment, members, 'of the segment')
  }

  /** Compares what the consumers that have caught up know. */
  agree(): void {
    assert.deepEqual(this.#late.members, this.#all.members, 'a late consumer')
  }
}
