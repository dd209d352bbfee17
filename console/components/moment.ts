import { h } from 'preact'
import { html } from '../html.ts'
import { language } from '../language.ts'
import { fromFieldText, noonOf, readMoment, toFieldText, writeMoment } from '../moments.ts'
import { t } from '../texts.ts'
import { TextField } from './field.ts'

/** The days that are offered by one press. */
const DAYS = 7

function nameDay(daysAgo: number): string {
  if (daysAgo === 1) return t.moments.yesterday
  return new Intl.DateTimeFormat(language.value, { weekday: 'short', day: 'numeric', month: 'short' }).format(
    noonOf(daysAgo)
  )
}

/**
 * Chooses a moment of the past, or now: by one press for the last days, at noon, or exactly.
 *
 * @param value as in an address; empty for now.
 */
export function MomentPicker({
  label,
  value,
  onChange
}: {
  label: string
  value: string
  onChange: (value: string) => void
}) {
  const chosen = readMoment(value)
  const days = Array.from({ length: DAYS }, (_, index) => index + 1)
  const chip = (text: string, moment: string) => html`<button
    key=${text}
    type="button"
    class="chip"
    aria-pressed=${moment === value ? 'true' : 'false'}
    onClick=${() => onChange(moment)}
  >${text}</button>`
  const changeExactly = (text: string) => {
    const time = fromFieldText(text)
    if (time) onChange(writeMoment(time))
  }
  return html`<div class="moment" role="group" aria-label=${label}>
    <div class="chips">
      ${chip(t.moments.now, '')}
      ${days.map((daysAgo) => chip(nameDay(daysAgo), writeMoment(noonOf(daysAgo))))}
    </div>
    ${h(TextField, {
      label: t.moments.exactly,
      type: 'datetime-local',
      step: '1',
      value: chosen ? toFieldText(chosen) : '',
      onInput: changeExactly
    })}
  </div>`
}
