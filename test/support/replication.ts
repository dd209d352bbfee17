import postgres from 'postgres'
import type { Test } from 'tap'
import type { Config } from '../../schemas/config.ts'
import type { Answer } from './client.ts'
import { LogLines } from './log-lines.ts'
import { scrape } from './metrics.ts'
import { type OwnPostgres, startOwnPostgres } from './own-postgres.ts'
import { startServiceOn, type TestService, waitUntil } from './service.ts'

/** The label of a server in metrics and logs. */
export function serverName({ url }: OwnPostgres): string {
  return new URL(url).host
}

/** Starts a service on a server, with a log, and connects to its database. */
export async function serveOn(
  t: Test,
  url: string,
  config: Partial<Config>
): Promise<{ service: TestService; log: LogLines }> {
  const sql = postgres(url.replace(/\?.*/, ''), { max: 1 })
  t.teardown(() => sql.end({ timeout: 0 }))
  const log = new LogLines()
  const service = await startServiceOn(t, { url, sql }, { LOG_LEVEL: 'info', ...config }, { log })
  return { service, log }
}

/** A primary, its standby, and a service that reads on the standby. */
export async function startReplication(t: Test, config: Partial<Config> = {}) {
  const primary = await startOwnPostgres(t)
  const standby = await primary.startStandby(t)
  const served = await serveOn(t, primary.url, { READ_DATABASE_URLS: standby.url, ...config })
  return { primary, standby, ...served }
}

/** Waits until a service has checked its read servers, and one of them serves. */
export async function awaitServing(service: TestService, log: LogLines, reads: 'token' | 'all') {
  await waitUntil(
    async () => {
      await service.getSegments(1)
      return log.of('read server serves').at(-1)
    },
    (line) => line?.['reads'] === reads
  )
}

/** The headers of a read that must contain the writes. */
export function tokenOf(...writes: Answer[]): { 'x-segments-token'?: string } {
  if (writes.length === 0) return {}
  return { 'x-segments-token': writes.map(({ headers }) => headers['x-segments-token']).join() }
}

/** Sends a request, and says which server has answered its lookup. */
export async function observe(
  service: TestService,
  send: () => Promise<Answer>
): Promise<{ server: string; answer: Answer }> {
  const prefix = 'user_segments_membership_reads_total{server="'
  const before = await scrape(service)
  const answer = await send()
  const after = await scrape(service)
  const [sample = ''] = after
    .startingWith(prefix)
    .filter((sample) => after.value(sample) !== before.value(sample))
  return { server: sample.slice(prefix.length, -2), answer }
}
