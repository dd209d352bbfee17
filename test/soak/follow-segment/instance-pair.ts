import type { Test } from 'tap'
import type { Balancer } from '../../support/balancer.ts'
import { type ServerProcess, startServerProcess } from '../../support/server-process.ts'
import { createFolder } from '../../support/service.ts'

type Instance = { server: ServerProcess; address: string }

/** Two instances of the service behind a balancer. */
export class InstancePair {
  readonly #start: () => Promise<Instance>
  readonly #balancer: Balancer
  readonly #instances: [Instance, Instance]

  private constructor(start: () => Promise<Instance>, balancer: Balancer, instances: [Instance, Instance]) {
    this.#start = start
    this.#balancer = balancer
    this.#instances = instances
  }

  /** Starts them. They are ended with the test. */
  static async start(t: Test, databaseUrl: string, balancer: Balancer): Promise<InstancePair> {
    const folder = await createFolder(t)
    const start = async () => {
      const server = startServerProcess(t, { DATABASE_URL: databaseUrl, PORT: '0', REPORTS_DIR: folder })
      const address = await server.address()
      await balancer.add(address)
      return { server, address }
    }
    return new InstancePair(start, balancer, await Promise.all([start(), start()]))
  }

  /** Kills one of them, and starts another one in its place. */
  async restart(index: 0 | 1): Promise<void> {
    const { server, address } = this.#instances[index]
    server.process.kill('SIGKILL')
    await server.exitCode()
    this.#balancer.remove(address)
    this.#instances[index] = await this.#start()
  }
}
