import type { OrderedReport } from './contract-types.ts'
import { Download } from './download.ts'
import { isSegmentsError } from './errors.ts'
import { sleep } from './retry.ts'
import type { CallOptions, Transport } from './transport.ts'
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
  const call = { method: 'GET', ...readReportPath(report) } as const
  for (;;) {
    try {
      return await transport.send(
        call,
        options,
        async (response, limit) => new Download(response, limit, options.onProgress)
      )
    } catch (error) {
      if (!isSegmentsError(error, 'REPORT_PENDING')) throw error
      const { retryAfter } = error
      await sleep(retryAfter === undefined ? PENDING_PAUSE_MS : retryAfter * 1_000, options.signal)
    }
  }
}
