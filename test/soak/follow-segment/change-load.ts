import { isSegmentsError, type SegmentsClient } from '../../../client/src/index.ts'
import { pick, randomFrom, seed } from '../form.ts'

/** The first one is followed. */
export const SLUGS = ['FOLLOWED', 'OTHER'] as const
export const USERS = 3_000

const CLIENTS = 16
/** Users of an upload. */
const UPLOADED = 100
/** The highest share that is drawn. */
const MAX_SHARE = 0.3
/** Seconds. The short ones expire during the test, the long ones after it. */
const LIFETIMES = [1, 2, 4, 3_600, 86_400] as const

/** Random changes of two segments: single users, uploads, shares and erasures. */
export class ChangeLoad {
  /** Memberships that were to be changed. */
  changes = 0
  requests = 0
  readonly #client: SegmentsClient
  readonly #random = randomFrom(seed)

  constructor(client: SegmentsClient) {
    this.#client = client
  }

  /** Makes changes until there are so many. */
  async run(total: number): Promise<void> {
    const work = async () => {
      while (this.changes < total) await this.#changeSomething()
    }
    await Promise.all(Array.from({ length: CLIENTS }, work))
  }

  async #changeSomething(): Promise<void> {
    const chance = this.#random()
    this.requests += 1
    if (chance < 0.006) return this.#changeShare()
    if (chance < 0.016) return this.#upload()
    if (chance < 0.03) return this.#erase()
    return this.#changeUser()
  }

  async #changeUser(): Promise<void> {
    this.changes += 1
    const slug = this.#random() < 0.8 ? SLUGS[0] : SLUGS[1]
    const chance = this.#random()
    const user = this.#pickUser()
    if (chance < 0.4) return this.#client.changeUserSegments(user, { segments_to_delete: [slug] })
    const added = chance < 0.7 ? slug : { slug, ttl_seconds: pick(this.#random, LIFETIMES) }
    return this.#client.changeUserSegments(user, { segments_to_add: [added] })
  }

  async #upload(): Promise<void> {
    this.changes += UPLOADED
    const ids = Array.from({ length: UPLOADED }, () => `${this.#pickUser()}\n`).join('')
    if (this.#random() < 0.5) await this.#client.addSegmentUsers(SLUGS[0], ids)
    else await this.#client.removeSegmentUsers(SLUGS[0], ids)
  }

  async #changeShare(): Promise<void> {
    try {
      const selection = Number((this.#random() * MAX_SHARE).toFixed(2))
      const { added, removed } = await this.#client.changeSegment(SLUGS[0], { selection })
      this.changes += added + removed
    } catch (error) {
      if (!isSegmentsError(error, 'SEGMENT_BEING_FILLED')) throw error
    }
  }

  async #erase(): Promise<void> {
    try {
      await this.#client.eraseUser(this.#pickUser())
      this.changes += 1
    } catch (error) {
      if (!isSegmentsError(error, 'USER_NOT_FOUND')) throw error
    }
  }

  #pickUser(): number {
    return 1 + Math.floor(this.#random() * USERS)
  }
}
