import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

/** Milliseconds between two readiness checks of an instance. */
const CHECK_MS = 100

type Instance = { url: URL; ready: boolean; agent: http.Agent }

/**
 * A small load balancer: requests go to ready instances in turn, on kept-alive connections. It retries nothing, so
 * every lost request is seen.
 */
export class Balancer {
  readonly #instances = new Map<string, Instance>()
  readonly #server = http.createServer((request, response) => this.#forward(request, response))
  #turn = 0
  #closed = false

  /** Listens until the end of the test. */
  static async start(t: Test): Promise<Balancer> {
    const balancer = new Balancer()
    balancer.#server.listen(0, '127.0.0.1')
    await once(balancer.#server, 'listening')
    t.teardown(() => balancer.#close())
    return balancer
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Checks the readiness of an instance from now on. Resolves when it is ready for the first time. */
  async add(address: string): Promise<void> {
    const instance = { url: new URL(address), ready: false, agent: new http.Agent({ keepAlive: true }) }
    this.#instances.set(address, instance)
    await this.#check(instance)
    while (!instance.ready) {
      await sleep(CHECK_MS)
      await this.#check(instance)
    }
    void this.#watch(address, instance)
  }

  /** Removes an instance that has ended. */
  remove(address: string): void {
    this.#instances.get(address)?.agent.destroy()
    this.#instances.delete(address)
  }

  async #watch(address: string, instance: Instance): Promise<void> {
    while (!this.#closed && this.#instances.has(address)) {
      await sleep(CHECK_MS)
      await this.#check(instance)
    }
  }

  async #check(instance: Instance): Promise<void> {
    const answer = await fetch(new URL('/health/ready', instance.url)).catch(() => undefined)
    await answer?.body?.cancel()
    instance.ready = answer?.status === 200
  }

  #forward(request: http.IncomingMessage, response: http.ServerResponse): void {
    const ready = [...this.#instances.values()].filter((instance) => instance.ready)
    this.#turn += 1
    const instance = ready[this.#turn % ready.length]
    if (!instance) {
      response.writeHead(502).end('no instance is ready')
      return
    }
    const { url, agent } = instance
    const { method, url: path, headers } = request
    const forwarded = http.request(
      { host: url.hostname, port: url.port, agent, method, path, headers },
      (answer) => {
        const { connection: _, 'transfer-encoding': __, ...kept } = answer.headers
        response.writeHead(answer.statusCode ?? 502, kept)
        answer.on('error', () => response.destroy())
        answer.pipe(response)
      }
    )
    forwarded.on('error', (error) => {
      if (response.headersSent) response.destroy()
      else response.writeHead(502).end(String(error))
    })
    response.once('close', () => forwarded.destroy())
    request.pipe(forwarded)
  }

  async #close(): Promise<void> {
    this.#closed = true
    for (const address of this.#instances.keys()) this.remove(address)
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
