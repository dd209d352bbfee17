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
  interface FastifyContextConfig {
    /** How much of a request each request to the route counts as, if it has no valid key. Default: 1. */
    strangerWeight?: number
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

  /**
   * Counts a request, or as much of one as its weight says. Returns how many more its sender may send; a negative number if it
   * exceeds the limit.
   */
  count(sender: string, weight = 1): number {
    const now = performance.now()
    if (now >= this.#windowEnd) {
      this.#counts.clear()
      this.#windowEnd = now + RATE_WINDOW_MS
    }
    const count = (this.#counts.get(sender) ?? 0) + weight
    this.#counts.set(sender, count)
    return this.#limit - count
  }
}

/**
 * Counts the requests to this instance by key name, and refuses those above the limit per second. Keys with the same name
 * belong to one caller that is replacing its secret. Refusals have `Retry-After`, and each answer says how many more
 * requests the key may send in the second.
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
 */
export function limitKeys(limit: number): onRequestHookHandler {
  const counter = new RequestCounter(limit)
  const policy = `"key";q=${limit};w=${RATE_WINDOW_MS / 1_000}`
  return ({ actor }, reply, done) => {
    // A request without a key has a signed URL, and is counted by its address.
    if (!actor) return done()
    const rest = counter.count(actor.name)
    reply
      .header('ratelimit-policy', policy)
      .header('ratelimit', `"key";r=${Math.max(0, rest)};t=${RATE_WINDOW_MS / 1_000}`)
    done(rest < 0 ? rateLimited(`key (${actor.name})`, limit) : undefined)
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

    app.decorate('limitStranger', async ({ ip, raw, routeOptions }) => {
      if (counter.count(senderOf(ip), routeOptions.config.strangerWeight) >= 0) return
      await pause.wait(raw.socket)
      throw rateLimited(`address (${ip})`, STRANGER_RATE_LIMIT)
    })
  },
  { name: 'rate-limits', dependencies: ['connections'] }
)
