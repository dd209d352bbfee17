/** What every platform must do in the same way. It runs in Node.js and in browsers, so it imports types alone. */
import type * as Package from '../../client/src/index.ts'

/**
 * Calls the service through a proxy that simulates faults, and returns what has happened, as JSON.
 *
 * @param url the proxy of `http-fault-proxy.ts`.
 */
export async function exerciseClient(
  { isSegmentsError, SegmentsClient }: typeof Package,
  url: string
): Promise<Record<string, unknown>> {
  const client = new SegmentsClient({ url })
  const plan = (...faults: string[]) => fetch(`${url}/plan?faults=${faults}`, { method: 'POST' })
  const describe = (error: unknown) =>
    isSegmentsError(error) ? { code: error.code, status: error.status ?? null } : String(error)
  const results: Record<string, unknown> = {}

  await plan('busy', 'foreign')
  await client.createSegment({ slug: 'A' })
  await plan('reset')
  await client.changeUserSegments(1, { segments_to_add: ['A'] })
  await plan()
  results['lookups'] = await Promise.all([
    client.getUserSegments(1),
    client.getUserSegments(2).catch(describe),
    client.getUserSegments(1, { signal: AbortSignal.abort('left') }).catch(describe)
  ])

  async function* generateIds() {
    for (const id of [5, 6, 7]) yield `${id}\n`
  }
  await plan('reset')
  const progress: number[] = []
  const account = await client.addSegmentUsers('A', generateIds, {
    onProgress: ({ bytes }) => progress.push(bytes)
  })
  results['upload'] = [account.lines, account.added, progress.at(-1)]
  results['blob'] = (await client.addSegmentUsers('A', new Blob(['7\n8\n']))).added
  const users: string[] = []
  for await (const { user_id } of client.listSegmentUsers('A', { limit: 2 })) users.push(user_id)
  results['list'] = users

  await plan('lost', 'closing')
  const lines: string[] = []
  for await (const line of (await client.downloadSegmentUsers('A')).lines()) lines.push(line)
  results['download'] = lines
  await plan('cut')
  const cut = await client.downloadSegmentUsers('A')
  results['cut'] = await cut.text().catch(describe)

  const month = new Date().toISOString().slice(0, 7)
  const ordered = await client.orderReport({ month, segment: 'A' })
  const report = await (await client.downloadReport(ordered)).text()
  await plan('cut', 'cut')
  const resumed = await (await client.downloadReport(ordered)).text()
  results['report'] = [resumed === report, report.split('\n').length]

  await plan('none', 'cut', 'reset')
  const types: string[] = []
  for await (const { type } of client.changes({ after: 'start', segment: 'A', limit: 1 })) {
    types.push(type)
    if (types.length === 3) break
  }
  results['changes'] = types
  await plan('cut', 'busy')
  const copy = client.followSegment('A')
  await copy.ready
  results['copy'] = [copy.has(1), copy.has(2), [...copy.userIds()].length]
  copy.close()

  await plan('away')
  const away = await client.getSegment('A').catch((error: unknown) => error)
  results['away'] = isSegmentsError(away) && [away.code, away.retryAfter]
  await plan('silent')
  results['silent'] = await client.getSegment('A', { timeout: 100, retries: 0 }).catch(describe)
  await plan('silent')
  const signal = AbortSignal.timeout(100)
  results['aborted'] = await client
    .getSegment('A', { signal })
    .catch((error: unknown) => error === signal.reason)
  await plan()
  results['missing'] = await client.getSegment('NONE').catch(describe)
  results['token'] = /^1-/.test(client.token ?? '')
  return results
}

/**
 * Uploads, in a browser, more than connections buffer, to a proxy that does not read it: without progress while it is sent, the
 * first upload would end in another way.
 */
export async function exerciseUploadProgress(
  { isSegmentsError, SegmentsClient }: typeof Package,
  url: string
): Promise<unknown[]> {
  const client = new SegmentsClient({ url })
  const large = new Blob(Array.from({ length: 64 }, () => '\n'.repeat(1024 * 1024)))
  await fetch(`${url}/plan?faults=silent,silent`, { method: 'POST' })
  const leaving = new AbortController()
  const left = await client
    .addUsers(large, {
      signal: leaving.signal,
      onProgress: ({ bytes, total = 0 }) => {
        if (bytes > 0 && bytes < total) leaving.abort(`left on the way to ${total}`)
      }
    })
    .catch((error: unknown) => error)
  const stuck = await client.addUsers(large, { timeout: 500, retries: 0 }).catch((error: unknown) => error)
  return [left, isSegmentsError(stuck) && stuck.code]
}
