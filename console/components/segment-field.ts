import { h } from 'preact'
import { useId } from 'preact/hooks'
import { html } from '../html.ts'
import { isSlug } from '../slugs.ts'
import { TextField } from './field.ts'
import { SegmentOffers, useSegmentOffers } from './segment-offers.ts'

/** A slug as the service stores it; undefined if the text is none. */
export function readSlug(text: string): string | undefined {
  const slug = text.trim().toUpperCase()
  return isSlug(slug) ? slug : undefined
}

/** A field for a slug, which offers those that contain what is typed, deleted segments too. */
export function SegmentField({
  value,
  ...field
}: {
  label: string
  error?: string | undefined
  value: string
  onInput: (value: string) => void
}) {
  const id = useId()
  const { value: offers } = useSegmentOffers(value.trim(), { withDeleted: true })
  return html`<div>
    ${h(TextField, { ...field, value, isMono: true, list: id })}
    ${h(SegmentOffers, { id, offers })}
  </div>`
}
