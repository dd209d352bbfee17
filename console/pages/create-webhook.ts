import { h } from 'preact'
import { useState } from 'preact/hooks'
import type { CreateWebhook } from '../../client/src/index.ts'
import { FormDialog } from '../components/dialog.ts'
import { TextField } from '../components/field.ts'
import { announce } from '../components/live-region.ts'
import { Notice } from '../components/notice.ts'
import { html } from '../html.ts'
import { linkToWebhook, navigate } from '../router.ts'
import { useSession } from '../session.ts'
import { t } from '../texts.ts'
import { keepNewSecret } from './webhook-secret.ts'

const secretPattern = /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/

function readUrl(text: string): URL | undefined {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined
  return url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' ? url : undefined
}

/** Creates a webhook, after saying what will be delivered from when on. */
export function CreateWebhookDialog({ onClose }: { onClose: () => void }) {
  const { client } = useSession()
  const [text, setText] = useState('')
  const [slugs, setSlugs] = useState('')
  const [secret, setSecret] = useState('')
  const url = readUrl(text)
  const segments = slugs
    .split(/[\s,]+/)
    .filter((slug) => slug !== '')
    .map((slug) => slug.toUpperCase())
  const isSecretWrong = secret !== '' && !secretPattern.test(secret.trim())
  const create = async () => {
    if (!url) return
    const webhook: CreateWebhook = { url: url.href }
    if (segments.length > 0) webhook.segments = segments
    if (secret !== '') webhook.secret = secret.trim()
    const created = await client.createWebhook(webhook)
    if (created.secret !== null) keepNewSecret(created.id, created.secret)
    announce(t.webhooks.created)
    navigate(linkToWebhook(created.id))
  }
  return h(FormDialog, {
    title: t.webhooks.create,
    action: t.webhooks.doCreate,
    isReady: url !== undefined && !isSecretWrong,
    run: create,
    onClose,
    children: html`
      ${h(TextField, {
        label: t.webhooks.url,
        type: 'url',
        hint: t.webhooks.urlHint,
        error: text !== '' && !url ? t.webhooks.urlWrong : undefined,
        value: text,
        onInput: setText,
        isRequired: true,
        isMono: true,
        hasFocus: true,
        maxLength: 2_048
      })}
      ${h(TextField, {
        label: t.webhooks.segments,
        hint: t.webhooks.segmentsHint,
        isOptional: true,
        value: slugs,
        onInput: setSlugs,
        isMono: true
      })}
      ${h(TextField, {
        label: t.webhooks.ownSecret,
        hint: t.webhooks.ownSecretHint,
        isOptional: true,
        type: 'password',
        error: isSecretWrong ? t.webhooks.secretWrong : undefined,
        value: secret,
        onInput: setSecret,
        isMono: true
      })}
      ${
        url &&
        h(Notice, {
          children: t.webhooks.createEffect(
            url.host,
            segments.length === 0 ? t.webhooks.allSegments : segments.join(', ')
          )
        })
      }
    `
  })
}
