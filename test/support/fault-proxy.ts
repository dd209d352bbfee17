import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { acceptEncryption, type Certificate } from './certificate.ts'

/** A fault between the service and its database. */
export type Fault =
  | 'none'
  /** Nothing listens: connections are lost, new ones are refused. */
  | 'refused'
  /** Connections are reset, new ones as soon as they are made. */
  | 'reset'
  /**
   * No data passes in either direction, not even the end of a connection; new connections are accepted and silent. When
   * the fault ends, everything passes.
   */
  | 'black hole'
  /**
   * The database's side of each connection is closed, and the service never learns it, not even when the fault ends.
   * New connections are accepted and never answer.
   */
  | 'half-open'
  /** Everything that the database sends arrives half a second later. */
  | 'delay'
  /** Each direction of a connection passes 1 KB per second. */
  | 'trickle'

const DELAY_MS = 500
const TRICKLE_BYTES = 128
const TRICKLE_MS = 125

/**
 * A connection from the service (`near`, and `raw` before encryption), and the one to the database that forwards it
 * (`far`).
 */
type Link = { raw: Socket; near: Socket; far?: Socket; dead: boolean }

/** Forwards connections to PostgreSQL, and simulates network faults, for existing and new connections. */
export class FaultProxy {
  readonly #target: URL
  readonly #server = createServer((near) => this.#accept(near))
  readonly #links = new Set<Link>()
  readonly #certificate: Certificate | undefined
  #port = 0
  #fault: Fault = 'none'
  #changed = Promise.withResolvers<void>()

  /**
   * @param databaseUrl the database to forward to.
   * @param certificate encrypts the connection between the service and this proxy.
   */
  constructor(databaseUrl: string, certificate?: Certificate) {
    this.#target = new URL(databaseUrl)
    this.#certificate = certificate
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** The URL of the database through this proxy. */
  get url(): string {
    const url = new URL(this.#target)
    url.port = String(this.#port)
    if (this.#certificate) url.searchParams.set('sslmode', 'require')
    return url.href
  }

  /** Starts a fault, which replaces the previous one. */
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

  async #accept(raw: Socket): Promise<void> {
    const link: Link = { raw, near: raw, dead: false }
    this.#links.add(link)
    raw.setNoDelay()
    raw.on('error', () => {})
    raw.once('close', () => this.#links.delete(link))
    if (this.#fault === 'reset') return reset(link)
    if (this.#fault === 'half-open') return forget(link)
    await this.#leaveBlackHole()
    if (this.#certificate) link.near = await acceptEncryption(raw, this.#certificate)
    const { near } = link
    near.on('error', () => {})
    if (near.destroyed || link.dead) return
    link.far = connect({ host: this.#target.hostname, port: Number(this.#target.port), noDelay: true })
    // Also if the database does not listen: for the service this is the same, a moment later.
    link.far.once('error', () => link.dead || raw.resetAndDestroy())
    await Promise.all([this.#carry(link, near, link.far), this.#carry(link, link.far, near)])
  }

  /** Forwards what one side sends, and its end. */
  async #carry(link: Link, from: Socket, to: Socket): Promise<void> {
    try {
      for await (const chunk of from) await this.#pass(link, chunk, to)
    } catch {
      // Reset, by a side or by this proxy. The other side sees it as an end.
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

function reset({ raw, far }: Link): void {
  raw.resetAndDestroy()
  far?.destroy()
}

/** Leaves the near side open, and discards what it sends. */
function forget(link: Link): void {
  link.dead = true
  link.near.resume()
  link.far?.destroy()
}

/** Starts a proxy to a database. It is closed with the test. */
export async function startFaultProxy(
  t: Test,
  databaseUrl: string,
  certificate?: Certificate
): Promise<FaultProxy> {
  const proxy = new FaultProxy(databaseUrl, certificate)
  await proxy.listen()
  t.teardown(() => proxy.close())
  return proxy
}
