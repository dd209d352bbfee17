import { h } from 'preact'
import { html } from '../html.ts'
import { isSlug } from '../slugs.ts'
import { t } from '../texts.ts'
import { TextField } from './field.ts'

/** The slug and the description of what is created: a segment or a group. */
export function NewSlugFields({
  slug,
  onSlug,
  description,
  onDescription
}: {
  slug: string
  onSlug: (slug: string) => void
  description: string
  onDescription: (description: string) => void
}) {
  return html`
    ${h(TextField, {
      label: t.createSegment.slug,
      hint: t.createSegment.slugHint,
      error: slug !== '' && !isSlug(slug.trim()) ? t.createSegment.slugWrong : undefined,
      value: slug,
      onInput: onSlug,
      isRequired: true,
      isMono: true,
      hasFocus: true,
      maxLength: 128
    })}
    ${h(TextField, {
      label: t.createSegment.description,
      isOptional: true,
      value: description,
      onInput: onDescription,
      maxLength: 1_000
    })}
  `
}
