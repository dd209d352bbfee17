import { h } from 'preact'
import type { Webhook } from '../../client/src/index.ts'
import { Tag } from '../components/values.ts'
import { t } from '../texts.ts'

/** Whether changes are delivered; if not, why. */
export function WebhookState({ webhook: { state, pause_reason, failures } }: { webhook: Webhook }) {
  if (state === 'paused') {
    const kind = pause_reason === 'requested' ? 'plain' : 'bad'
    return h(Tag, { kind, children: t.webhooks.states[pause_reason ?? 'requested'] })
  }
  if (failures > 0) return h(Tag, { kind: 'warn', children: t.webhooks.states.retrying })
  return h(Tag, { kind: 'good', children: t.webhooks.states.active })
}
