import type { ComponentChildren } from 'preact'
import { html } from '../html.ts'
import { formatCount, formatShare, language } from '../language.ts'
import { t } from '../texts.ts'

const formats = {
  minute: { dateStyle: 'medium', timeStyle: 'short' },
  second: { dateStyle: 'medium', timeStyle: 'medium' },
  day: { dateStyle: 'medium' },
  /** For what has happened lately. */
  clock: { timeStyle: 'medium' },
  recent: { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' }
} as const

/** A time in the viewer's zone. */
export function formatTime(time: string | Date, precision: keyof typeof formats = 'minute'): string {
  return new Intl.DateTimeFormat(language.value, formats[precision]).format(new Date(time))
}

/** A time in the viewer's zone, with the exact one in UTC at hand. */
export function Time({ value, precision }: { value: string; precision?: keyof typeof formats }) {
  return html`<time datetime=${value} title=${value.replace('T', ' ').replace('Z', ' UTC')}>${formatTime(value, precision)}</time>`
}

/** A number with its digits grouped, and all of the same width. */
export function Count({ value }: { value: number }) {
  return html`<span class="number">${formatCount(value)}</span>`
}

/** A share of the users; a dash where none was asked for. */
export function Share({ value }: { value: number | null }) {
  return html`<span class="number">${value === null ? '–' : formatShare(value)}</span>`
}

/** Why a membership began, or ended. */
export function describeCause(cause: keyof typeof t.causes, isRemoval = false): string {
  return isRemoval && (cause === 'request' || cause === 'import') ? t.removals[cause] : t.causes[cause]
}

/** The name of the key that did something. */
export function Actor({ name }: { name: string | null }) {
  return name === null ? html`<span class="faint">${t.common.noKeyName}</span>` : html`<span>${name}</span>`
}

export function Tag({
  kind = 'plain',
  children
}: {
  kind?: 'plain' | 'accent' | 'good' | 'warn' | 'bad'
  children: ComponentChildren
}) {
  return html`<span class=${`tag ${kind}`}>${children}</span>`
}

/** Facts with their names. */
export function Facts({ facts }: { facts: readonly (readonly [name: string, value: ComponentChildren])[] }) {
  return html`<dl class="facts">
    ${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`
}
