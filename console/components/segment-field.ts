import { h } from 'preact'
import { useId } from 'preact/hooks'
import { html } from '../html.ts'
import { useRequest } from '../requests.ts'
import { useSession } from '../session.ts'
import { TextField } from './field.ts'

/** Segments that are offered while a slug is typed. */
const OFFERS = 20

const slugPattern = /^[A-Z0-9][A-Z0-9_.-]{0,127}$/

/** A slug as the service stores it; undefined if the text is none. */
export function readSlug(text: string): string | undefined {
  const slug = text.trim().toUpperCase()
  return slugPattern.test(slug) ? slug : undefined
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
  const { client } = useSession()
  const id = useId()
  const q = value.trim()
  const { value: offers = [] } = useRequest(`offers with deleted ${q}`, async (options) => {
    const pages = client
      .listSegments({ ...(q !== '' && { q }), include_deleted: true, limit: OFFERS, ...options })
      .pages()
    const { value: page } = await pages.next()
    return page ? page.segments : []
  })
  return html`<div>
    ${h(TextField, { ...field, value, isMono: true, list: id })}
    <datalist id=${id}>${offers.map(({ slug }) => html`<option key=${slug} value=${slug}></option>`)}</datalist>
  </div>`
}
