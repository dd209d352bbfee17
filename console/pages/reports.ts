import { h } from 'preact'
import { useState } from 'preact/hooks'
import { Button } from '../components/button.ts'
import { TextField } from '../components/field.ts'
import { EmptyState } from '../components/notice.ts'
import { Page, Section } from '../components/page.ts'
import { html } from '../html.ts'
import { keyOfReport, linkToReport, orderedReports, type ReportName, readReportName } from '../reports.ts'
import { linkTo, navigate, usePlace } from '../router.ts'
import { useStore } from '../store.ts'
import { t } from '../texts.ts'
import { OrderReportDialog } from './order-report.ts'
import { Report } from './report.ts'

/** Opens a report that was ordered elsewhere. */
function OpenReport() {
  const [text, setText] = useState('')
  const [isWrong, setWrong] = useState(false)
  const open = (event: Event) => {
    event.preventDefault()
    const report = readReportName(text)
    setWrong(!report)
    if (!report) return
    setText('')
    navigate(linkToReport(report))
  }
  return html`<form class="report-open" onSubmit=${open}>
    ${h(TextField, {
      label: t.reports.open,
      hint: t.reports.openHint,
      error: isWrong ? t.reports.notAReport : undefined,
      value: text,
      onInput: setText,
      isRequired: true,
      isMono: true
    })}
    ${h(Button, { type: 'submit', children: t.reports.openAction })}
  </form>`
}

function readOpened({ query }: ReturnType<typeof usePlace>): ReportName | undefined {
  const filename = query.get('report')
  return filename === null ? undefined : { filename, asOf: query.get('as_of') ?? undefined }
}

/** Reports: those that were ordered in this tab, and one of any other order by its link. */
export function ReportsPage() {
  const opened = readOpened(usePlace())
  const ordered = useStore(orderedReports)
  const [isOrdering, setOrdering] = useState(false)
  const openedKey = opened && keyOfReport(opened)
  const others = ordered.filter((report) => keyOfReport(report) !== openedKey)
  const orderButton = h(Button, {
    kind: 'primary',
    onClick: () => setOrdering(true),
    children: t.reports.order
  })
  return h(Page, {
    title: t.reports.title,
    subtitle: t.reports.intro,
    actions: orderButton,
    children: html`
      ${
        opened &&
        h(Section, {
          title: t.reports.opened,
          actions: html`<a href=${linkTo('/reports')}>${t.common.close}</a>`,
          children: h(Report, { key: openedKey, report: opened })
        })
      }
      ${h(Section, {
        title: t.reports.ofTab,
        children: html`<div class="stack">
          <p class="hint">${t.reports.ofTabHint}</p>
          ${others.map((report) => h(Report, { key: keyOfReport(report), report }))}
          ${ordered.length === 0 && h(EmptyState, { title: t.reports.empty, hint: t.reports.emptyHint, children: orderButton })}
          ${h(OpenReport, {})}
        </div>`
      })}
      ${isOrdering && h(OrderReportDialog, { onClose: () => setOrdering(false) })}
    `
  })
}
