import { formatTime } from '../components/values.ts'
import { html } from '../html.ts'
import { formatDuration } from '../language.ts'
import type { Readiness } from '../readiness.ts'
import { linkTo } from '../router.ts'
import { useMay } from '../session.ts'
import { t } from '../texts.ts'
import { judge, type Reason } from '../verdict.ts'

function describe(readiness: Readiness, reasons: readonly Reason[]): string {
  if (readiness.is === 'away') return t.system.away
  if (readiness.is === 'refusing') return t.system.refusing
  const verdict = judge(readiness, reasons)
  return t.system.verdicts[verdict]
}

/** One verdict, and what it rests on. */
export function SystemVerdict({ readiness, reasons }: { readiness: Readiness; reasons: readonly Reason[] }) {
  const mayOpen = useMay('admin')
  return html`<section class=${`verdict ${judge(readiness, reasons)}`} aria-label=${t.system.verdict}>
    <h2>${describe(readiness, reasons)}</h2>
    ${
      'since' in readiness &&
      html`<p>${t.system.since(formatTime(readiness.since, 'second'))} ${t.system.tryingAgain} ${readiness.is === 'away' && t.system.outdated}</p>`
    }
    ${readiness.is === 'refusing' && html`<p>${readiness.message}</p><p class="mono">${readiness.code} · ${t.errors.requestId(readiness.requestId)}</p>`}
    ${
      readiness.is === 'ready' &&
      readiness.outage &&
      html`<p>${t.system.wasAway(
        formatTime(readiness.outage.from, 'second'),
        formatDuration((readiness.outage.to.getTime() - readiness.outage.from.getTime()) / 1_000)
      )}</p>`
    }
    ${
      reasons.length > 0 &&
      html`<ul>${reasons.map(
        ({ text, path }) =>
          html`<li key=${text}>${path === undefined || !mayOpen ? text : html`<a href=${linkTo(path)}>${text}</a>`}</li>`
      )}</ul>`
    }
  </section>`
}
