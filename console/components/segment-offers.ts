import type { Segment } from '../../client/src/index.ts'
import { html } from '../html.ts'
import { useRequest } from '../requests.ts'
import { useSession } from '../session.ts'

/** Segments that are offered while a slug is typed. */
const OFFERS = 20

/** Asks for the first segments that contain what is typed, with `withDeleted` also deleted ones. */
export function useSegmentOffers(q: string, { withDeleted = false } = {}) {
  const { client } = useSession()
  return useRequest(`offers ${withDeleted} ${q}`, async (options) => {
    const pages = client
      .listSegments({
        ...(q !== '' && { q }),
        ...(withDeleted && { include_deleted: true }),
        limit: OFFERS,
        ...options
      })
      .pages()
    const { value: page } = await pages.next()
    return page ? page.segments : []
  })
}

/** The offers of the field whose `list` is the id. */
export function SegmentOffers({ id, offers = [] }: { id: string; offers: readonly Segment[] | undefined }) {
  return html`<datalist id=${id}>${offers.map(({ slug }) => html`<option key=${slug} value=${slug}></option>`)}</datalist>`
}
