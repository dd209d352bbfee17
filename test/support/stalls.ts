import { ServerResponse } from 'node:http'
import type { Test } from 'tap'

/**
 * Has clients that read nothing be disconnected after a hundredth of the time, until the end of the test.
 *
 * @returns the unshortened times, in milliseconds, as the service sets them.
 */
export function shortenStalls(t: Test): number[] {
  const { setTimeout } = ServerResponse.prototype
  const timeouts: number[] = []
  const value = function (this: ServerResponse, milliseconds: number, onTimeout: () => void) {
    timeouts.push(milliseconds)
    return setTimeout.call(this, milliseconds / 100, onTimeout)
  }
  t.intercept(ServerResponse.prototype, 'setTimeout', { value })
  return timeouts
}
