import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

/** What is wrong between the service and its database. */
export type Fault =
  | 'none'
  /** Nothing listens: connections are lost, new ones are refused. */
  | 'refused'
  /** Connections are reset, new ones as soon as they are made. */
  | 'reset'
  /**
   * Nothing passes, in neither direction, not even the end of a connection; new ones are made and silent. When it is
   * over, all of it passes.
   */
  | 'black hole'
  /**
   * The database's side of each connection is closed, of which the service never hears; nor does it of anything else,
   * not even when it is over. New ones are made, and never answer either.
   */
  | 'half-open'
  /** What the database sends comes half a second later. */
  | 'delay'
  /** In each direction of a connection 1 KB a second passes. */
  | 'trickle'

const DELAY_MS = 500
const TRICKLE_BYTES = 128
const TRICKLE_MS = 125

/** A connection of the service's (near), and the one to the database that it is carried on by (far). */
type Link = { near: Socket; far?: Socket; dead: boolean }

/** Carries connections to PostgreSQL, with the faults of networks: those that are there, and those to come. */
export class FaultProxy {
  readonly #target: URL
  readonly #server = createServer((near) => this.#accept(near))
  readonly #links = new Set<Link>()
  #port = 0
  #fault: Fault = 'none'
  #changed = Promise.withResolvers<void>()

  /** @param databaseUrl what it leads to. */
  constructor(databaseUrl: string) {
    this.#target = new URL(databaseUrl)
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** The database's URL by way of this proxy. */
  get url(): string {
    const url = new URL(this.#target)
    url.port = String(this.#port)
    return url.href
  }

  /** From now on that is wrong, and nothing else. */
  async set(fault: Fault): Promise<void> {
    const isRefusing = this.#fault === 'refused'
    this.#fault = fault
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
    if (fault === 'refused') this.#server.close()
    for (const link of this.#links) {
      if (fault === 'refused' || fault === 'reset') reset(link)
      if (fault === 'half-open') forget(link)
    }
    if (isRefusing && fault !== 'refused') await this.listen()
  }

  async close(): Promise<void> {
    await this.set('none')
    this.#server.close()
    for (const link of this.#links) reset(link)
    if (this.#links.size > 0) await once(this.#server, 'close')
  }

  async #accept(near: Socket): Promise<void> {
    const link: Link = { near, dead: false }
    this.#links.add(link)
    near.setNoDelay()
    near.on('error', () => {})
    near.once('close', () => this.#links.delete(link))
    if (this.#fault === 'reset') return reset(link)
    if (this.#fault === 'half-open') return forget(link)
    await this.#leaveBlackHole()
    if (near.destroyed || link.dead) return
    link.far = connect({ host: this.#target.hostname, port: Number(this.#target.port), noDelay: true })
    // Also where nothing listens there: then it is the same for the service, a moment later.
    link.far.once('error', () => link.dead || near.resetAndDestroy())
    await Promise.all([this.#carry(link, near, link.far), this.#carry(link, link.far, near)])
  }

  /** Passes on what one side sends, and that it has ended. */
  async #carry(link: Link, from: Socket, to: Socket): Promise<void> {
    try {
      for await (const chunk of from) await this.#pass(link, chunk, to)
    } catch {
      // Reset, by a side or by us. The other side hears of it as of any end.
    }
    await this.#leaveBlackHole()
    if (!link.dead) to.end()
  }

  async #pass(link: Link, chunk: Buffer, to: Socket): Promise<void> {
    if (this.#fault === 'delay' && to === link.near) await sleep(DELAY_MS)
    let rest = chunk
    while (rest.length > 0) {
      await this.#leaveBlackHole()
      if (link.dead || to.destroyed) return
      const bytes = this.#fault === 'trickle' ? TRICKLE_BYTES : rest.length
      to.write(rest.subarray(0, bytes))
      rest = rest.subarray(bytes)
      if (this.#fault === 'trickle') await sleep(TRICKLE_MS)
    }
  }

  async #leaveBlackHole(): Promise<void> {
    while (this.#fault === 'black hole') await this.#changed.promise
  }
}

function reset({ near, far }: Link): void {
  near.resetAndDestroy()
  far?.destroy()
}

/** The near side is left open, and what it sends is taken and lost. */
function forget(link: Link): void {
  link.dead = true
  link.near.resume()
  link.far?.destroy()
}

/** A proxy to a database, closed with the test. */
export async function startFaultProxy(t: Test, databaseUrl: string): Promise<FaultProxy> {
  const proxy = new FaultProxy(databaseUrl)
  await proxy.listen()
  t.teardown(() => proxy.close())
  return proxy
}
