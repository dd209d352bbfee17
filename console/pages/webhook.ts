import { h } from 'preact'
import { useState } from 'preact/hooks'
import { isSegmentsError, type Webhook } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { EmptyState, ErrorNotice, Notice, Skeleton } from '../components/notice.ts'
import { Page, Section } from '../components/page.ts'
import { Actor, Count, Facts, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { formatDuration } from '../language.ts'
import { usePoll } from '../requests.ts'
import { linkTo, linkToSegment } from '../router.ts'
import { useMay, useSession } from '../session.ts'
import { t } from '../texts.ts'
import { ContinueWebhookDialog, DeleteWebhookDialog, PauseWebhookDialog } from './webhook-changes.ts'
import { NewSecret } from './webhook-secret.ts'
import { WebhookState } from './webhook-state.ts'
import { AdminOnly } from './webhooks.ts'

const time = (value: string | null, none: string) =>
  value === null ? none : h(Time, { value, precision: 'second' })

function Deliveries({ webhook }: { webhook: Webhook }) {
  const { last_error: error, failures, next_attempt_at: next, paused_at: pausedAt } = webhook
  return h(Section, {
    title: t.webhooks.deliveries,
    children: html`
      ${h(Facts, {
        facts: [
          [t.webhooks.lag, formatDuration(webhook.lag_seconds)],
          [t.webhooks.lastSuccess, time(webhook.last_success_at, t.common.never)],
          [t.webhooks.failures, h(Count, { value: failures })],
          ...(next === null ? [] : [[t.webhooks.nextAttempt, time(next, '')] as const]),
          ...(pausedAt === null ? [] : [[t.webhooks.pausedAt, time(pausedAt, '')] as const])
        ]
      })}
      ${
        error !== null &&
        h(Notice, {
          kind: failures > 0 ? 'warning' : 'info',
          children: html`<div class="grow">
            <strong>${t.webhooks.lastError}</strong> ${time(error.time, '')}
            <p class="mono">${error.message}</p>
            ${failures === 0 && html`<p>${t.webhooks.errorIsPast}</p>`}
          </div>`
        })
      }`
  })
}

function WebhookView({ webhook, onChange }: { webhook: Webhook; onChange: () => void }) {
  const [dialog, setDialog] = useState<'pause' | 'continue' | 'delete'>()
  const { id, url, segments, state, pause_reason: reason } = webhook
  const close = () => setDialog(undefined)
  const changed = () => {
    close()
    onChange()
  }
  const button = (name: 'pause' | 'continue' | 'delete', title: string, kind?: 'primary' | 'danger') =>
    h(Button, { ...(kind && { kind }), onClick: () => setDialog(name), children: title })
  const isPaused = state === 'paused'
  return h(Page, {
    title: t.webhooks.titleOf(id),
    tag: h(WebhookState, { webhook }),
    subtitle: html`<span class="mono">${url}</span>`,
    actions: html`
      ${isPaused ? button('continue', t.webhooks.resume, 'primary') : button('pause', t.webhooks.pause)}
      ${!isPaused && button('continue', t.webhooks.continueFrom)}
      ${button('delete', t.webhooks.delete, 'danger')}`,
    children: html`
      ${h(NewSecret, { key: id, id })}
      ${reason !== null && reason !== 'requested' && h(Notice, { kind: 'warning', children: t.webhooks.reasons[reason] })}
      ${h(Facts, {
        facts: [
          [
            t.webhooks.segments,
            segments === null
              ? t.webhooks.allSegments
              : html`<span class="row">${segments.map((slug) => html`<a key=${slug} class="mono" href=${linkToSegment(slug)}>${slug}</a>`)}</span>`
          ],
          [t.webhooks.createdAt, time(webhook.created_at, '')],
          [t.webhooks.createdBy, h(Actor, { name: webhook.created_by })]
        ]
      })}
      ${h(Deliveries, { webhook })}
      ${h(Section, {
        title: t.webhooks.place,
        children: html`<p class="hint">${t.webhooks.placeHint}</p><p class="mono cursor">${webhook.cursor}</p>`
      })}
      ${dialog === 'pause' && h(PauseWebhookDialog, { webhook, onClose: close, onChange: changed })}
      ${dialog === 'continue' && h(ContinueWebhookDialog, { webhook, onClose: close, onChange: changed })}
      ${dialog === 'delete' && h(DeleteWebhookDialog, { webhook, onClose: close })}
    `
  })
}

function KnownWebhook({ id }: { id: string }) {
  const { client } = useSession()
  const { value, error, reload } = usePoll(`webhook ${id}`, (options) => client.getWebhook(id, options))
  if (isSegmentsError(error, 'WEBHOOK_NOT_FOUND') || error instanceof TypeError) {
    return h(Page, {
      title: t.webhooks.titleOf(id),
      children: h(EmptyState, {
        title: t.webhooks.unknown,
        hint: t.webhooks.unknownHint,
        children: html`<a class="button" href=${linkTo('/webhooks')}>${t.webhooks.toList}</a>`
      })
    })
  }
  const notice = error !== undefined && h(ErrorNotice, { error, onRetry: reload })
  if (value) return html`${notice}${h(WebhookView, { webhook: value, onChange: reload })}`
  return h(Page, { title: t.webhooks.titleOf(id), children: notice || h(Skeleton, { lines: 8 }) })
}

/** One webhook: how far its deliveries are, and what can be done with it. */
export function WebhookPage({ id }: { id: string }) {
  return useMay('admin') ? h(KnownWebhook, { id }) : h(AdminOnly, {})
}
