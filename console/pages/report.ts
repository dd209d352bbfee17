import { h } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { isSegmentsError, type ReportStatus } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { FormDialog } from '../components/dialog.ts'
import { announce } from '../components/live-region.ts'
import { ErrorNotice, Notice, Skeleton } from '../components/notice.ts'
import { Count, Facts, Tag, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { formatBytes } from '../language.ts'
import {
  forgetReport,
  keyOfReport,
  linkToReport,
  orderedReports,
  orderReport,
  type ReportContent,
  type ReportName,
  type ReportSubject,
  readFilename,
  toOrderedReport
} from '../reports.ts'
import { usePoll } from '../requests.ts'
import { linkTo, linkToSegment, linkToUser, navigate } from '../router.ts'
import { useSession } from '../session.ts'
import { useStore } from '../store.ts'
import { t } from '../texts.ts'
import { describeDays, describeSubject } from './report-texts.ts'

/** Milliseconds between two looks at a report that is being made. */
const PENDING_POLL_MS = 1_000
/** The same for one that changes no more, until it expires or is cancelled elsewhere. */
const FINISHED_POLL_MS = 60_000

const kinds = { queued: 'plain', running: 'accent', ready: 'good', failed: 'bad' } as const

function SubjectLink({ subject }: { subject: ReportSubject }) {
  switch (subject.kind) {
    case 'all':
      return html`<span>${t.reports.allUsers}</span>`
    case 'segment':
      return html`<a class="mono" href=${linkToSegment(subject.slug)}>${subject.slug}</a>`
    case 'user':
      return html`<a class="number" href=${linkToUser(subject.userId)}>${t.reports.ofUser(subject.userId)}</a>`
  }
}

/** Ends the order: says before what that means, for one that is being made and for a finished one. */
function CancelDialog({
  report,
  title,
  isPending,
  onClose
}: {
  report: ReportName
  title: string
  isPending: boolean
  onClose: () => void
}) {
  const { client } = useSession()
  const cancel = async () => {
    try {
      await client.cancelReport(toOrderedReport(report))
    } catch (error) {
      throw isSegmentsError(error, 'REPORT_NOT_FOUND') ? new Error(t.reports.notOrdered) : error
    }
    announce(t.reports.cancelled)
    onClose()
    forgetReport(report)
    navigate(linkTo('/reports'), { replaces: true })
  }
  return h(FormDialog, {
    title: isPending ? t.reports.cancelTitle : t.reports.removeTitle,
    action: isPending ? t.reports.cancel : t.reports.remove,
    kind: 'danger',
    run: cancel,
    onClose,
    children: html`<p><strong>${title}</strong></p>
      <p>${isPending ? t.reports.cancelEffect : t.reports.removeEffect}</p>
      <p>${t.reports.shared}</p>`
  })
}

/** Orders the same report again. */
function OrderAgain({ report, content }: { report: ReportName; content: ReportContent }) {
  const { client } = useSession()
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const isListed = useStore(orderedReports).some((other) => keyOfReport(other) === keyOfReport(report))
  const order = async () => {
    setBusy(true)
    try {
      const { subject, from, to, details } = content
      await orderReport(client, subject, { from, to }, details)
      forgetReport(report)
      announce(t.reports.ordered)
      navigate(linkTo('/reports'), { replaces: true })
    } catch (failure) {
      setBusy(false)
      setError(failure)
    }
  }
  return html`${error !== undefined && h(ErrorNotice, { error })}
    <div class="actions">
      ${h(Button, { isBusy, onClick: order, children: t.reports.orderAgain })}
      ${isListed && h(Button, { kind: 'quiet', onClick: () => forgetReport(report), children: t.reports.forget })}
    </div>`
}

function Progress({ progress: { status, rows, error } }: { progress: ReportStatus }) {
  const isPending = status === 'queued' || status === 'running'
  return html`
    ${status === 'queued' && error === null && html`<p>${t.reports.queuedHint}</p>`}
    ${status === 'running' && html`<label class="stack-small">${t.reports.rowsSoFar(rows)}<progress></progress></label>`}
    ${isPending && error !== null && h(Notice, { kind: 'warning', children: t.reports.attemptFailed(error) })}
    ${status === 'failed' && h(Notice, { kind: 'error', children: t.reports.failed(error ?? t.common.none) })}`
}

function listFacts({ subject, details }: ReportContent, progress: ReportStatus) {
  const { rows, bytes, created_at, finished_at, status } = progress
  return [
    [t.reports.about, h(SubjectLink, { subject })] as const,
    ...(details ? [[t.common.details, t.common.yes] as const] : []),
    ...(status === 'ready' ? [[t.reports.rows, h(Count, { value: rows })] as const] : []),
    ...(bytes === null
      ? []
      : [[t.reports.size, html`<span class="number">${formatBytes(bytes)}</span>`] as const]),
    [t.reports.orderedAt, h(Time, { value: created_at, precision: 'second' })] as const,
    ...(finished_at === null
      ? []
      : [[t.reports.finishedAt, h(Time, { value: finished_at, precision: 'second' })] as const])
  ]
}

function ReportBody({
  report,
  content,
  title,
  progress
}: {
  report: ReportName
  content: ReportContent
  title: string
  progress: ReportStatus
}) {
  const [isCancelling, setCancelling] = useState(false)
  const { status, link } = progress
  const isPending = status === 'queued' || status === 'running'
  return html`
    ${h(Progress, { progress })}
    ${h(Facts, { facts: listFacts(content, progress) })}
    ${status === 'failed' && h(OrderAgain, { report, content })}
    ${
      status !== 'failed' &&
      html`<div class="actions">
        ${status === 'ready' && html`<a class="button primary" href=${link} download>${t.reports.download}</a>`}
        ${h(Button, { onClick: () => setCancelling(true), children: isPending ? t.reports.cancel : t.reports.remove })}
      </div>`
    }
    ${isCancelling && h(CancelDialog, { report, title, isPending, onClose: () => setCancelling(false) })}`
}

/** One report: its progress while it is made, and what can be done with it. */
export function Report({ report }: { report: ReportName }) {
  const { client } = useSession()
  const content = readFilename(report.filename)
  const [isPending, setPending] = useState(true)
  const { value, error, reload } = usePoll(
    `report ${keyOfReport(report)}`,
    async (options) => {
      const progress = await client.getReportStatus(toOrderedReport(report), options)
      setPending(progress.status === 'queued' || progress.status === 'running')
      return progress
    },
    isPending ? PENDING_POLL_MS : FINISHED_POLL_MS
  )
  const status = value?.status
  const before = useRef(status)
  const title = content ? `${describeSubject(content.subject)} · ${describeDays(content)}` : report.filename
  useEffect(() => {
    const wasPending = before.current === 'queued' || before.current === 'running'
    before.current = status
    if (wasPending && status === 'ready') announce(t.reports.isReady(title))
    if (wasPending && status === 'failed') announce(t.reports.hasFailed(title))
  }, [status])
  if (!content) return h(Notice, { kind: 'warning', children: t.reports.notAReport })
  const isGone = isSegmentsError(error, 'REPORT_NOT_FOUND', 'REPORT_EXPIRED')
  const progress = isGone ? undefined : value
  return html`<article class="card report" aria-label=${title}>
    <header>
      <h3><a href=${linkToReport(report)}>${title}</a></h3>
      ${progress && h(Tag, { kind: kinds[progress.status], children: t.reports.statuses[progress.status] })}
    </header>
    ${error !== undefined && !isGone && h(ErrorNotice, { error, onRetry: reload })}
    ${
      isGone &&
      html`${h(Notice, {
        kind: 'warning',
        children: error.code === 'REPORT_EXPIRED' ? t.reports.expired : t.reports.notFound
      })}
      ${h(OrderAgain, { report, content })}`
    }
    ${!progress && error === undefined && h(Skeleton, { lines: 1 })}
    ${progress && h(ReportBody, { report, content, title, progress })}
    <p class="mono faint report-name">${report.filename}</p>
  </article>`
}
