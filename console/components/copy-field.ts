import { h } from 'preact'
import { useRef } from 'preact/hooks'
import { html } from '../html.ts'
import { t } from '../texts.ts'
import { Button } from './button.ts'
import { Field } from './field.ts'
import { announce } from './live-region.ts'

/** A text to take away. Without TLS, browsers let pages only select it. */
export function CopyField({ label, hint, value }: { label: string; hint?: string; value: string }) {
  const input = useRef<HTMLInputElement>(null)
  const copy = async () => {
    input.current?.select()
    if (!('clipboard' in navigator)) return
    await navigator.clipboard.writeText(value)
    announce(t.common.copied)
  }
  return h(Field, {
    label,
    hint,
    children: (control) => html`<div class="copy">
      <input ...${control} ref=${input} class="mono" type="text" readonly value=${value} />
      ${h(Button, { onClick: () => void copy(), children: t.common.copy })}
    </div>`
  })
}
