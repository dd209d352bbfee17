import { h } from 'preact'
import { useState } from 'preact/hooks'
import { Button } from '../components/button.ts'
import { CopyField } from '../components/copy-field.ts'
import { Notice } from '../components/notice.ts'
import { html } from '../html.ts'
import { sessionState } from '../session.ts'
import { t } from '../texts.ts'

/** Secrets that the service has just made, by the webhook's id. It shows each of them once, so they are kept until then. */
const newSecrets = new Map<string, string>()

sessionState.subscribe(() => newSecrets.clear())

export function keepNewSecret(id: string, secret: string): void {
  newSecrets.set(id, secret)
}

/** Shows the secret of a webhook that has just been created, until the viewer has stored it or leaves the console. */
export function NewSecret({ id }: { id: string }) {
  const [secret, setSecret] = useState(newSecrets.get(id))
  if (secret === undefined) return null
  const forget = () => {
    newSecrets.delete(id)
    setSecret(undefined)
  }
  return h(Notice, {
    kind: 'warning',
    children: html`<div class="grow stack">
      ${h(CopyField, { label: t.webhooks.secret, hint: t.webhooks.secretOnce, value: secret })}
      <div>${h(Button, { onClick: forget, children: t.webhooks.secretStored })}</div>
    </div>`
  })
}
