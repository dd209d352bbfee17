import type { SegmentsOfUsers } from './contract-types.ts'
import { readJson, SegmentsError } from './errors.ts'
import type { CallOptions, Transport } from './transport.ts'

/** The most users that the service looks up in one request. */
export const MAX_USERS = 1_000

type Lookup = {
  userId: string
  resolve: (segments: string[]) => void
  reject: (reason: unknown) => void
  isAborted: boolean
  /** Tells the request, if there is one already, that it has a caller less. */
  leave: () => void
}

/** Node.js has a queue for this; elsewhere the shortest timer has the same effect. */
const immediate: unknown = Reflect.get(globalThis, 'setImmediate')
const runNextTurn = (run: () => void) => {
  if (typeof immediate === 'function') immediate(run)
  else setTimeout(run, 0)
}

/** Cuts a list into parts that fit into a request each. */
function cutChunks<T>(list: readonly T[]): T[][] {
  const count = Math.ceil(list.length / MAX_USERS)
  return Array.from({ length: count }, (_, index) => list.slice(index * MAX_USERS, (index + 1) * MAX_USERS))
}

/** The lookups of each user. */
function groupByUser(lookups: readonly Lookup[]): Map<string, Lookup[]> {
  const groups = new Map<string, Lookup[]>()
  for (const lookup of lookups) {
    const group = groups.get(lookup.userId)
    if (group) group.push(lookup)
    else groups.set(lookup.userId, [lookup])
  }
  return groups
}

/** Membership lookups. Those of one turn of the event loop share a request. */
export class Lookups {
  readonly #transport: Transport
  #waiting: Lookup[] = []

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /**
   * The segments of a user.
   *
   * @throws {SegmentsError} USER_NOT_FOUND, for this user alone, and the errors of any request.
   * @throws the reason of the signal. The lookups of other callers go on.
   */
  async find(userId: string, signal: AbortSignal | undefined): Promise<string[]> {
    signal?.throwIfAborted()
    let abort = () => {}
    try {
      return await new Promise<string[]>((resolve, reject) => {
        const lookup: Lookup = { userId, resolve, reject, isAborted: false, leave: () => {} }
        abort = () => {
          lookup.isAborted = true
          lookup.leave()
          reject(signal?.reason)
        }
        signal?.addEventListener('abort', abort)
        if (this.#waiting.length === 0) runNextTurn(() => this.#flush())
        this.#waiting.push(lookup)
      })
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  #flush(): void {
    const lookups = this.#waiting.filter(({ isAborted }) => !isAborted)
    this.#waiting = []
    for (const users of cutChunks([...groupByUser(lookups)])) void this.#answer(new Map(users))
  }

  async #answer(users: ReadonlyMap<string, Lookup[]>): Promise<void> {
    const lookups = [...users.values()].flat()
    const everyoneLeft = new AbortController()
    for (const lookup of lookups) {
      lookup.leave = () => {
        if (lookups.every(({ isAborted }) => isAborted)) everyoneLeft.abort()
      }
    }
    try {
      const { segments, requestId } = await queryChunk(this.#transport, [...users.keys()], {
        signal: everyoneLeft.signal
      })
      for (const { userId, resolve, reject } of lookups) {
        const own = segments[userId]
        // A copy, as each caller may change its array.
        if (own) resolve([...own])
        else reject(userNotFound(userId, requestId))
      }
    } catch (error) {
      for (const { reject } of lookups) reject(error)
    }
  }
}

/** Looks up as many users as fit into a request. */
function queryChunk(transport: Transport, userIds: string[], options: CallOptions) {
  const call = {
    method: 'POST',
    path: '/segments/users/query',
    json: { user_ids: userIds },
    isRead: true,
    takesTokens: true
  } as const
  return transport.send(call, options, async (response) => ({
    ...(await readJson<SegmentsOfUsers>(response)),
    requestId: response.headers.get('x-request-id') ?? undefined
  }))
}

/** Looks up any number of users, one request after the other. @throws {SegmentsError} */
export async function queryUsers(
  transport: Transport,
  userIds: string[],
  options: CallOptions
): Promise<SegmentsOfUsers> {
  const all: SegmentsOfUsers = { segments: {}, unknown: [] }
  for (const chunk of cutChunks(userIds)) {
    const { segments, unknown } = await queryChunk(transport, chunk, options)
    Object.assign(all.segments, segments)
    all.unknown.push(...unknown)
  }
  return all
}

/** What the service answers to a request for this user alone. */
function userNotFound(userId: string, requestId: string | undefined): SegmentsError {
  return new SegmentsError(`user with id (${userId}) not found`, {
    code: 'USER_NOT_FOUND',
    status: 404,
    requestId
  })
}
