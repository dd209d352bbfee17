import type { OrderedReport } from './contract-types.ts'
import { Download, type Resume, Source } from './download.ts'
import { isSegmentsError } from './errors.ts'
import { choosePause, sleep } from './retry.ts'
import type { Call, CallOptions, Transport } from './transport.ts'
import type { Progress } from './upload.ts'

/** Milliseconds between two attempts, if the service does not say it. */
const PENDING_PAUSE_MS = 1_000

/**
 * The path of a report, from its link. The client's own URL is used for it: the API key must not go elsewhere.
 *
 * @throws {TypeError} if the link is not one of the service.
 */
export function readReportPath({ link }: OrderedReport): { path: string; query: Record<string, string> } {
  const { pathname, searchParams } = new URL(link)
  const [, path] = /\/api\/v1(\/(?:reports|segments\/user\/history)\/[^/]+\.csv)$/.exec(pathname) ?? []
  if (path === undefined) throw new TypeError(`(${link}) is not the link of a report`)
  return { path, query: Object.fromEntries(searchParams) }
}

/** Requests a report until it is ready. @throws {SegmentsError} */
export async function fetchReport(
  transport: Transport,
  report: OrderedReport,
  options: CallOptions & { onProgress?: (progress: Progress) => void }
): Promise<Download> {
  const call: Call = { method: 'GET', ...readReportPath(report) }
  for (;;) {
    try {
      const source = await transport.send(
        call,
        options,
        async (response, limit) => new Source(response, limit)
      )
      return new Download(source, options.onProgress, createResume(transport, call, options))
    } catch (error) {
      if (!isSegmentsError(error, 'REPORT_PENDING')) throw error
      const { retryAfter } = error
      await sleep(retryAfter === undefined ? PENDING_PAUSE_MS : retryAfter * 1_000, options.signal)
    }
  }
}

/**
 * The entity tag of the uncompressed file. The compressed one has the same tag with `-gzip`, and no ranges.
 *
 * @returns undefined for a weak tag, which a proxy may have made: it does not say that the bytes are the same.
 */
function readTag({ headers }: Response): string | undefined {
  const tag = headers.get('etag') ?? 'W/'
  return tag.startsWith('W/') ? undefined : tag.replace(/-gzip"$/, '"')
}

/** Continues a download by `Range`, as often as its progress needs; without progress, as often as a call is repeated. */
function createResume(transport: Transport, call: Call, options: CallOptions): Resume {
  const retries = transport.retriesOf(options)
  let failures = 0
  let before = 0
  return async (first, bytes, error) => {
    failures = bytes > before ? 1 : failures + 1
    before = bytes
    const tag = readTag(first)
    const pause = failures > retries || tag === undefined ? undefined : choosePause(error, failures)
    if (pause === undefined || tag === undefined) throw error
    await sleep(pause, options.signal)
    // From the last byte that has come, as there may be none after it.
    const start = Math.max(0, bytes - 1)
    const headers = { range: `bytes=${start}-`, 'if-range': tag }
    const rest = await transport.send({ ...call, headers }, options, async (response, limit) => {
      return new Source(response, limit, response.status === 206 ? bytes - start : bytes)
    })
    if (readTag(rest.response) === tag) return rest
    // The report has been made again since.
    await rest.cancel()
    throw error
  }
}
