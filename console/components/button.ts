import type { ComponentChildren } from 'preact'
import { html } from '../html.ts'

export type ButtonProps = {
  kind?: 'primary' | 'plain' | 'danger' | 'quiet'
  type?: 'button' | 'submit'
  onClick?: () => void
  isDisabled?: boolean
  /** While it is busy, it can't be pressed again. */
  isBusy?: boolean
  /** The name for screen readers, where the content is a sign. */
  label?: string
  children: ComponentChildren
}

export function Button({
  kind = 'plain',
  type = 'button',
  onClick,
  isDisabled = false,
  isBusy = false,
  label,
  children
}: ButtonProps) {
  return html`<button
    type=${type}
    class=${`button ${kind}`}
    disabled=${isDisabled || isBusy}
    aria-busy=${isBusy ? 'true' : undefined}
    aria-label=${label}
    onClick=${onClick}
  >${children}</button>`
}

/** A link that looks like a button. */
export function ButtonLink({
  href,
  kind = 'plain',
  children
}: {
  href: string
  kind?: 'primary' | 'plain'
  children: ComponentChildren
}) {
  return html`<a class=${`button ${kind}`} href=${href}>${children}</a>`
}
