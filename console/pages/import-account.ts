import { h } from 'preact'
import { Count, Facts } from '../components/values.ts'
import { html } from '../html.ts'
import { type ImportAccount, listCounts } from '../import-run.ts'
import { formatCount } from '../language.ts'
import { t } from '../texts.ts'

/** The outcome of each line: how many there are of each, and the first that were rejected, with reasons. */
export function AccountView({ account }: { account: ImportAccount }) {
  const { lines, rejected } = account
  return html`<div class="stack">
    ${h(Facts, {
      facts: [
        [t.imports.lines, h(Count, { value: lines })],
        ...listCounts(account).map(
          ([name, count]) => [t.imports.counts[name], h(Count, { value: count })] as const
        ),
        [t.imports.rejected, h(Count, { value: rejected.count })]
      ]
    })}
    ${
      rejected.count > 0 &&
      html`<div class="scrolls" tabindex="0" role="region" aria-label=${t.imports.rejectedLines}>
        <table class="plain rejected" aria-label=${t.imports.rejectedLines}>
          <thead>
            <tr><th scope="col" class="number">${t.imports.line}</th><th scope="col">${t.imports.value}</th><th scope="col">${t.imports.reason}</th></tr>
          </thead>
          <tbody>
            ${rejected.first.map(
              ({ line, value, reason }) => html`<tr key=${line}>
                <td class="number">${formatCount(line)}</td><td class="mono">${value}</td><td>${reason}</td>
              </tr>`
            )}
          </tbody>
        </table>
      </div>
      ${rejected.count > rejected.first.length && html`<p class="hint">${t.imports.onlyFirst(formatCount(rejected.first.length), formatCount(rejected.count))}</p>`}`
    }
  </div>`
}
