import { h } from 'preact'
import { useState } from 'preact/hooks'
import type { ChangeWebhook, Webhook } from '../../client/src/index.ts'
import { ConfirmDialog, FormDialog } from '../components/dialog.ts'
import { SelectField, TextField } from '../components/field.ts'
import { announce } from '../components/live-region.ts'
import { Notice } from '../components/notice.ts'
import { html } from '../html.ts'
import { linkTo, navigate } from '../router.ts'
import { useSession } from '../session.ts'
import { t } from '../texts.ts'

type DialogProps = { webhook: Webhook; onClose: () => void; onChange: () => void }

const hostOf = ({ url }: Webhook): string => new URL(url).host

/** Pauses the deliveries. */
export function PauseWebhookDialog({ webhook, onClose, onChange }: DialogProps) {
  const { client } = useSession()
  return h(FormDialog, {
    title: t.webhooks.pauseTitle(hostOf(webhook)),
    action: t.webhooks.pause,
    run: async () => {
      await client.changeWebhook(webhook.id, { state: 'paused' })
      announce(t.webhooks.paused)
      onChange()
    },
    onClose,
    children: html`<p>${t.webhooks.pauseEffect}</p>`
  })
}

const places = ['ended', 'now', 'start', 'cursor'] as const
type Place = (typeof places)[number]

/** Resumes the deliveries, or lets them continue elsewhere: after saying what will be delivered. */
export function ContinueWebhookDialog({ webhook, onClose, onChange }: DialogProps) {
  const { client } = useSession()
  const isPaused = webhook.state === 'paused'
  const [place, setPlace] = useState<Place>(webhook.pause_reason === 'cursor_expired' ? 'now' : 'ended')
  const [cursor, setCursor] = useState('')
  const change: ChangeWebhook = { state: 'active' }
  if (place === 'now' || place === 'start') change.after = place
  if (place === 'cursor') change.after = cursor.trim()
  return h(FormDialog, {
    title: (isPaused ? t.webhooks.resumeTitle : t.webhooks.continueTitle)(hostOf(webhook)),
    action: isPaused ? t.webhooks.resume : t.webhooks.doContinue,
    isReady: place !== 'cursor' || cursor.trim() !== '',
    run: async () => {
      await client.changeWebhook(webhook.id, change)
      announce(t.webhooks.resumed)
      onChange()
    },
    onClose,
    children: html`
      ${h(SelectField<Place>, {
        label: t.webhooks.continueAfter,
        value: place,
        options: places.map((value) => ({ value, label: t.webhooks.places[value] })),
        onChange: setPlace
      })}
      ${
        place === 'cursor' &&
        h(TextField, {
          label: t.webhooks.cursor,
          hint: t.webhooks.cursorHint,
          value: cursor,
          onInput: setCursor,
          isMono: true,
          maxLength: 12_000
        })
      }
      ${h(Notice, { kind: place === 'ended' ? 'info' : 'warning', children: t.webhooks.placeEffects[place] })}
    `
  })
}

/** Deletes a webhook, after the host of its URL was typed. */
export function DeleteWebhookDialog({ webhook, onClose }: Omit<DialogProps, 'onChange'>) {
  const { client } = useSession()
  const host = hostOf(webhook)
  return h(ConfirmDialog, {
    title: t.webhooks.deleteTitle(host),
    slug: host,
    action: t.webhooks.delete,
    run: async () => {
      await client.deleteWebhook(webhook.id)
      announce(t.webhooks.wasDeleted(host))
      navigate(linkTo('/webhooks'))
    },
    onClose,
    children: html`<p>${t.webhooks.deleteEffect}</p>`
  })
}
