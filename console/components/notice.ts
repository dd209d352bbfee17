import { type ComponentChildren, h } from 'preact'
import { isSegmentsError } from '../../client/src/index.ts'
import { html } from '../html.ts'
import { isOutage } from '../requests.ts'
import { t } from '../texts.ts'
import { Button } from './button.ts'

export function Notice({
  kind = 'info',
  children
}: {
  kind?: 'info' | 'success' | 'warning' | 'error'
  children: ComponentChildren
}) {
  return html`<div class=${`notice ${kind}`} role=${kind === 'error' ? 'alert' : undefined}>${children}</div>`
}

function describe(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : t.errors.unexpected
}

/** Why something failed, for people: with what identifies the request in the log of the service. */
export function ErrorNotice({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const facts = isSegmentsError(error)
    ? [error.code, error.requestId && t.errors.requestId(error.requestId)].filter(Boolean).join(' · ')
    : ''
  return h(Notice, {
    kind: 'error',
    children: html`<div class="grow">
        <strong>${t.errors.title}</strong>
        <p>${describe(error)}</p>
        ${isOutage(error) && html`<p>${t.errors.outage}</p>`}
        ${facts !== '' && html`<p class="mono faint">${facts}</p>`}
      </div>
      ${onRetry && h(Button, { onClick: onRetry, children: t.common.retry })}`
  })
}

/** What a list shows when it is empty: what to do next. */
export function EmptyState({
  title,
  hint,
  children
}: {
  title: string
  hint?: string
  /** The action. */
  children?: ComponentChildren
}) {
  return html`<div class="empty">
    <p class="empty-title">${title}</p>
    ${hint !== undefined && html`<p>${hint}</p>`}
    ${children}
  </div>`
}

/** Grey bars in place of what loads, as high as it will be. */
export function Skeleton({ lines = 3 }: { lines?: number }) {
  return html`<div class="skeleton" role="status" aria-label=${t.common.loading}>
    ${Array.from({ length: lines }, (_, index) => html`<div key=${index} class="bar"></div>`)}
  </div>`
}
