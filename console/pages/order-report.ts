import { h } from 'preact'
import { useState } from 'preact/hooks'
import { FormDialog } from '../components/dialog.ts'
import { CheckField, SelectField, TextField } from '../components/field.ts'
import { announce } from '../components/live-region.ts'
import { Notice } from '../components/notice.ts'
import { readSlug, SegmentField } from '../components/segment-field.ts'
import { html } from '../html.ts'
import { addDays, orderReport, type ReportInterval, type ReportSubject } from '../reports.ts'
import { linkTo, navigate } from '../router.ts'
import { useSession } from '../session.ts'
import { t } from '../texts.ts'
import { describeDays, describeMonth, describeSubject } from './report-texts.ts'

type Kind = ReportSubject['kind']

/** Months that are offered by name. */
const MONTHS = 12
/** The choice of days instead of a month. */
const DAYS = 'days'

const userIdPattern = /^[1-9]\d{0,18}$/

const today = (): string => new Date().toISOString().slice(0, 10)

/** The last months in UTC, as YYYY-MM, newest first. */
function listMonths(): string[] {
  const now = new Date()
  return Array.from({ length: MONTHS }, (_, index) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - index)).toISOString().slice(0, 7)
  )
}

function readSubject(kind: Kind, text: string): ReportSubject | undefined {
  const slug = readSlug(text)
  switch (kind) {
    case 'all':
      return { kind }
    case 'segment':
      return slug === undefined ? undefined : { kind, slug }
    case 'user':
      return userIdPattern.test(text.trim()) ? { kind, userId: text.trim() } : undefined
  }
}

/** Orders a report of a user, of a segment or of all, for a month or for some days. */
export function OrderReportDialog({ onClose }: { onClose: () => void }) {
  const { client } = useSession()
  const [kind, setKind] = useState<Kind>('all')
  const [text, setText] = useState('')
  const [month, setMonth] = useState(today().slice(0, 7))
  const [first, setFirst] = useState(addDays(today(), -7))
  const [last, setLast] = useState(today())
  const [details, setDetails] = useState(false)
  const subject = readSubject(kind, text)
  const areDays = month === DAYS
  const isInterval = !areDays || (first !== '' && last !== '' && first <= last && last <= today())
  const isToCurrent = areDays ? last === today() : month === today().slice(0, 7)

  const order = async () => {
    if (!subject) return
    const interval: ReportInterval = areDays ? { from: first, to: addDays(last, 1) } : { month }
    await orderReport(client, subject, interval, details)
    announce(t.reports.ordered)
    onClose()
    navigate(linkTo('/reports'))
  }
  const describeInterval = () =>
    areDays ? describeDays({ from: first, to: addDays(last, 1) }) : describeMonth(month)

  return h(FormDialog, {
    title: t.reports.order,
    action: t.reports.orderAction,
    isReady: subject !== undefined && isInterval,
    run: order,
    onClose,
    children: html`
      ${h(SelectField<Kind>, {
        label: t.reports.about,
        value: kind,
        options: [
          { value: 'all', label: t.reports.allUsers },
          { value: 'segment', label: t.reports.oneSegment },
          { value: 'user', label: t.reports.oneUser }
        ],
        onChange: (chosen) => {
          setKind(chosen)
          setText('')
        }
      })}
      ${
        kind === 'segment' &&
        h(SegmentField, {
          label: t.segments.slug,
          value: text,
          onInput: setText,
          error: text !== '' && !subject ? t.createSegment.slugWrong : undefined
        })
      }
      ${
        kind === 'user' &&
        h(TextField, {
          label: t.members.user,
          value: text,
          onInput: setText,
          error: text !== '' && !subject ? t.members.notAnId : undefined
        })
      }
      ${h(SelectField<string>, {
        label: t.reports.interval,
        value: month,
        options: [
          ...listMonths().map((name) => ({ value: name, label: describeMonth(name) })),
          { value: DAYS, label: t.reports.days }
        ],
        onChange: setMonth
      })}
      ${
        areDays &&
        html`<div class="report-days">
          ${h(TextField, { label: t.reports.firstDay, type: 'date', value: first, onInput: setFirst, isRequired: true })}
          ${h(TextField, {
            label: t.reports.lastDay,
            type: 'date',
            value: last,
            onInput: setLast,
            isRequired: true,
            error: isInterval ? undefined : t.reports.daysWrong
          })}
        </div>`
      }
      ${h(CheckField, { label: t.reports.details, hint: t.reports.detailsHint, isChecked: details, onChange: setDetails })}
      ${
        subject &&
        isInterval &&
        h(Notice, {
          children: html`<div class="stack-small">
            <p>${t.reports.effect(describeSubject(subject), describeInterval())}</p>
            ${isToCurrent && html`<p>${t.reports.toNow}</p>`}
          </div>`
        })
      }
    `
  })
}
