import type { OrderedReport, SegmentsClient } from '../client/src/index.ts'
import { DAY_MS } from './moments.ts'
import { base, linkTo } from './router.ts'
import { sessionState } from './session.ts'
import { Store } from './store.ts'

/** What a link of a report names: its file, and the time of the order if the report includes the day of it. */
export type ReportName = Readonly<{ filename: string; asOf: string | undefined }>

/** What a report is about. */
export type ReportSubject =
  | { kind: 'all' }
  | { kind: 'segment'; slug: string }
  | { kind: 'user'; userId: string }

/** Days in UTC, as YYYY-MM-DD: `from` is inclusive, `to` exclusive; or a month, as YYYY-MM. */
export type ReportInterval = { month: string } | { from: string; to: string }

export type ReportContent = { subject: ReportSubject; from: string; to: string; details: boolean }

/** The names of the reports that were ordered in this tab, without signatures. */
const STORED = 'user-segments.reports'
const MAX_REPORTS = 50

const filenamePattern =
  /^(?:all|segment-([A-Z0-9][A-Z0-9_.-]{0,127})|user-([1-9]\d{0,18}))_(\d{4}-\d\d-\d\d)_(\d{4}-\d\d-\d\d)(_details)?\.csv$/

/** What the name of a file says; undefined if it is not that of a report. */
export function readFilename(filename: string): ReportContent | undefined {
  const [, slug, userId, from, to, details] = filenamePattern.exec(filename) ?? []
  if (from === undefined || to === undefined) return undefined
  const subject: ReportSubject =
    slug !== undefined
      ? { kind: 'segment', slug }
      : userId !== undefined
        ? { kind: 'user', userId }
        : { kind: 'all' }
  return { subject, from, to, details: details !== undefined }
}

/** Reads a link of the service, an address of the console, or the name of a file. A signature is left out. */
export function readReportName(text: string): ReportName | undefined {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined
  const filename = url?.searchParams.get('report') ?? (url?.pathname ?? text.trim()).split('/').at(-1) ?? ''
  if (!readFilename(filename)) return undefined
  return { filename, asOf: url?.searchParams.get('as_of') ?? undefined }
}

/** The report as the client takes it. */
export function toOrderedReport({ filename, asOf }: ReportName): OrderedReport {
  const query = asOf === undefined ? '' : `?${new URLSearchParams({ as_of: asOf })}`
  return { link: `${location.origin}${base}/api/v1/reports/${filename}${query}` }
}

/** The address of the page that shows a report. */
export const linkToReport = ({ filename, asOf }: ReportName): string =>
  linkTo('/reports', { report: filename, as_of: asOf })

export const keyOfReport = ({ filename, asOf }: ReportName): string => `${filename} ${asOf ?? ''}`

/** The day after another one, in UTC, or some days from it. */
export function addDays(day: string, days: number): string {
  return new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10)
}

function readStored(): ReportName[] {
  const links: unknown = JSON.parse(sessionStorage.getItem(STORED) ?? '[]')
  return Array.isArray(links) ? links.flatMap((link) => readReportName(String(link)) ?? []) : []
}

/** The reports that were ordered in this tab, newest first. The service lists none. */
export const orderedReports = new Store<readonly ReportName[]>(readStored())

orderedReports.subscribe(() => {
  const links = orderedReports.value.map((report) => toOrderedReport(report).link)
  if (links.length > 0) sessionStorage.setItem(STORED, JSON.stringify(links))
  else sessionStorage.removeItem(STORED)
})

sessionState.subscribe(() => {
  const state = sessionState.value
  // Whoever signs in next may be somebody else.
  if (state.is === 'signed-out' && state.because === 'asked') orderedReports.set([])
})

export function forgetReport(report: ReportName): void {
  const key = keyOfReport(report)
  orderedReports.set(orderedReports.value.filter((other) => keyOfReport(other) !== key))
}

/** Orders a report, and remembers it. @throws {SegmentsError} */
export async function orderReport(
  client: SegmentsClient,
  subject: ReportSubject,
  interval: ReportInterval,
  details: boolean
): Promise<ReportName> {
  const ordered =
    subject.kind === 'user'
      ? await client.orderUserReport(subject.userId, { ...interval, details })
      : await client.orderReport({
          ...interval,
          details,
          ...(subject.kind === 'segment' && { segment: subject.slug })
        })
  const report = readReportName(ordered.link)
  if (!report) throw new TypeError(`(${ordered.link}) is not the link of a report`)
  forgetReport(report)
  orderedReports.set([report, ...orderedReports.value].slice(0, MAX_REPORTS))
  return report
}
