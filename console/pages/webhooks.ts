import { h } from 'preact'
import { useState } from 'preact/hooks'
import type { Webhook } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { EmptyState, ErrorNotice, Skeleton } from '../components/notice.ts'
import { Page } from '../components/page.ts'
import { type Column, Table } from '../components/table.ts'
import { formatTime, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { formatDuration } from '../language.ts'
import { usePoll } from '../requests.ts'
import { linkToWebhook } from '../router.ts'
import { useMay, useSession } from '../session.ts'
import { t } from '../texts.ts'
import { CreateWebhookDialog } from './create-webhook.ts'
import { WebhookState } from './webhook-state.ts'

const listColumns = (): Column<Webhook>[] => [
  {
    title: t.webhooks.url,
    width: '100%',
    cell: ({ id, url, segments }) => html`<span class="cell-main">
      <a class="mono" href=${linkToWebhook(id)} title=${url}>${url.replace('https://', '')}</a>
      <span class="cell-note">${segments === null ? t.webhooks.allSegments : segments.join(', ')}</span>
    </span>`
  },
  { title: t.webhooks.state, cell: (webhook) => h(WebhookState, { webhook }) },
  { title: t.webhooks.lag, from: 'narrow', cell: ({ lag_seconds }) => formatDuration(lag_seconds) },
  {
    title: t.webhooks.lastSuccess,
    from: 'medium',
    cell: ({ last_success_at: time }) => (time === null ? t.common.never : h(Time, { value: time }))
  },
  {
    title: t.webhooks.lastError,
    from: 'wide',
    cell: ({ last_error: error }) =>
      error === null ? t.common.none : html`<span title=${formatTime(error.time)}>${error.message}</span>`
  }
]

function WebhookList() {
  const { client } = useSession()
  const [isCreating, setCreating] = useState(false)
  const { value, error, isLoading, reload } = usePoll('webhooks', (options) => client.listWebhooks(options))
  const createButton = h(Button, {
    kind: 'primary',
    onClick: () => setCreating(true),
    children: t.webhooks.create
  })
  return h(Page, {
    title: t.webhooks.title,
    subtitle: t.webhooks.intro,
    actions: createButton,
    children: html`
      ${error !== undefined && h(ErrorNotice, { error, onRetry: reload })}
      ${value === undefined && error === undefined && h(Skeleton, { lines: 4 })}
      ${
        value !== undefined &&
        value.length > 0 &&
        h(Table<Webhook>, {
          label: t.webhooks.title,
          columns: listColumns(),
          rows: value,
          keyOf: ({ id }) => id
        })
      }
      ${
        value?.length === 0 &&
        !(isLoading && error !== undefined) &&
        h(EmptyState, { title: t.webhooks.emptyTitle, hint: t.webhooks.emptyHint })
      }
      ${isCreating && h(CreateWebhookDialog, { onClose: () => setCreating(false) })}
    `
  })
}

/** The service shows webhooks to administrators alone: their URLs may contain secrets. */
export function AdminOnly() {
  return h(Page, {
    title: t.webhooks.title,
    children: h(EmptyState, { title: t.webhooks.adminOnly, hint: t.webhooks.adminOnlyHint })
  })
}

/** All webhooks: where changes are delivered, and how far. */
export function WebhooksPage() {
  return useMay('admin') ? h(WebhookList, {}) : h(AdminOnly, {})
}
