import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { endWithParent } from '../../support/server-process.ts'

/** Milliseconds before a program that has ended is started again. */
const RESTART_MS = 200

/** A program that follows a segment, and is started again whenever it ends. */
export class FollowerProcess {
  /** How often it has ended, killed or not. */
  ends = 0
  readonly #program: string
  readonly #slug: string
  readonly #file: string
  #process: ChildProcess
  #pause = 0
  #isOver = false

  private constructor(program: string, slug: string, file: string) {
    this.#program = program
    this.#slug = slug
    this.#file = file
    this.#process = this.#spawn()
  }

  /** Starts it. It is ended with the test. */
  static start(t: Test, program: string, slug: string, file: string): FollowerProcess {
    const follower = new FollowerProcess(program, slug, file)
    const kept = follower.#keep()
    t.teardown(async () => {
      follower.#isOver = true
      follower.#process.kill('SIGKILL')
      await kept
    })
    return follower
  }

  /** Kills it, and lets it be started again after so many milliseconds. */
  async restart(pause: number): Promise<void> {
    const killed = this.#process
    this.#pause = pause
    killed.kill('SIGKILL')
    while (this.#process === killed) await sleep(RESTART_MS)
  }

  /** The members in the file, each with its expiry: empty if there is none. */
  async readMembers(): Promise<[string, string][]> {
    const text = await readFile(this.#file, 'utf8').catch(() => '{"members":[]}')
    return (JSON.parse(text) as { members: [string, string][] }).members
  }

  async #keep(): Promise<void> {
    for (;;) {
      if (this.#process.exitCode === null && this.#process.signalCode === null)
        await once(this.#process, 'exit')
      this.ends += 1
      await sleep(this.#pause || RESTART_MS)
      if (this.#isOver) return
      this.#pause = 0
      this.#process = this.#spawn()
    }
  }

  #spawn(): ChildProcess {
    return spawn(process.execPath, [endWithParent, this.#program, this.#slug, this.#file], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc']
    })
  }
}
