import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { MAX_REFUSAL_PAUSE_MS, MAX_REFUSALS, MIN_REFUSAL_PAUSE_MS } from '../limits.ts'

/** Slows down clients that send the next request when they have the refusal of the last one: each refusal costs work. */
export class RefusalPause {
  readonly #app: FastifyInstance
  #waiting = 0

  constructor(app: FastifyInstance) {
    this.#app = app
  }

  /**
   * Waits before a refusal, the longer the more refusals wait, so that however many clients send the next request at
   * once, there are about MAX_REFUSALS a second. Meanwhile, the connection is one of those that give way to new ones.
   */
  async wait(socket: Socket): Promise<void> {
    const { connections } = this.#app
    // A client that does not wait for its answers would have any number of requests wait here.
    if (connections.answersOn(socket).length > 1) {
      socket.resetAndDestroy()
      return
    }
    connections.makeExpendable(socket)
    this.#waiting += 1
    const mean = Math.min(
      MAX_REFUSAL_PAUSE_MS,
      Math.max(MIN_REFUSAL_PAUSE_MS, (this.#waiting / MAX_REFUSALS) * 1_000)
    )
    // At random, so that those who are refused together do not return together.
    await sleep(mean * (0.5 + Math.random() / 2))
    this.#waiting -= 1
  }
}
