/** Limits of requests a second: of each key, and of each address that sends no valid key. */
import { isIPv6 } from 'node:net'
import type { onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { RATE_WINDOW_MS, STRANGER_RATE_LIMIT } from '../limits.ts'
import { rateLimited } from './errors.ts'
import { RefusalPause } from './refusal-pause.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Counts a request that has no valid key by its address.
     *
     * @throws {ApiError} `RATE_LIMITED` if its address has sent too many, after a pause: clients that send the next
     * request when they have the answer are slowed down, because a refusal costs the process as much as other short answers.
     */
    limitStranger: (request: FastifyRequest) => Promise<void>
  }
}

/** Counts requests by sender, within windows of RATE_WINDOW_MS that are the same for all senders. */
class RequestCounter {
  readonly #limit: number
  readonly #counts = new Map<string, number>()
  #windowEnd = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Counts a request. Returns whether it exceeds the limit of its sender. */
  exceeds(sender: string): boolean {
    const now = performance.now()
    if (now >= this.#windowEnd) {
      this.#counts.clear()
      this.#windowEnd = now + RATE_WINDOW_MS
    }
    const count = (this.#counts.get(sender) ?? 0) + 1
    this.#counts.set(sender, count)
    return count > this.#limit
  }
}

/**
 * Counts the requests to this instance by key name, and refuses those above the limit per second. Keys with the same name
 * belong to one caller that is replacing its secret. Refusals have `Retry-After`.
 */
export function limitKeys(limit: number): onRequestHookHandler {
  const counter = new RequestCounter(limit)
  return ({ actor }, _reply, done) => {
    // A request without a key has a signed URL, and is counted by its address.
    done(actor && counter.exceeds(actor.name) ? rateLimited(`key (${actor.name})`, limit) : undefined)
  }
}

/** The sender that an address belongs to: of IPv6, its /64, since a single machine usually has a whole one. */
export function senderOf(address: string): string {
  const ipv4 = /^::ffff:([\d.]+)$/i.exec(address)?.[1]
  if (ipv4 !== undefined || !isIPv6(address)) return ipv4 ?? address
  const [head = [], tail = []] = address.split('::').map((part) => part.split(':').filter(Boolean))
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0')
  return [...head, ...zeros, ...tail].slice(0, 4).join(':').toLowerCase()
}

export const rateLimitsPlugin = fp(
  async (app) => {
    const counter = new RequestCounter(STRANGER_RATE_LIMIT)
    const pause = new RefusalPause(app)

    app.decorate('limitStranger', async ({ ip, raw }) => {
      if (!counter.exceeds(senderOf(ip))) return
      await pause.wait(raw.socket)
      throw rateLimited(`address (${ip})`, STRANGER_RATE_LIMIT)
    })
  },
  { name: 'rate-limits', dependencies: ['connections'] }
)
