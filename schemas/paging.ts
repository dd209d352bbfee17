import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { nullable } from './common.ts'

const MAX_PAGE_SIZE = 1_000
const DEFAULT_PAGE_SIZE = 100

/**
 * The query parameters of a list.
 *
 * @param cursor an example of a cursor of the list.
 */
export const pageParameters = (cursor: string) => ({
  limit: Type.Integer({
    description: `Entries in a page at most, 1 to ${MAX_PAGE_SIZE}.`,
    minimum: 1,
    maximum: MAX_PAGE_SIZE,
    default: DEFAULT_PAGE_SIZE,
    'x-expected': `an integer from 1 to ${MAX_PAGE_SIZE}`,
    examples: [DEFAULT_PAGE_SIZE]
  }),
  cursor: Type.Optional(
    Type.String({
      description: 'The `next_cursor` of the page before. Without it, the first page.',
      maxLength: 512,
      'x-expected': 'the next_cursor of an answer of this list',
      examples: [cursor]
    })
  )
})

/** A page of a list, in a field with the given name. */
export function page<Name extends string, Item extends TSchema>(
  name: Name,
  item: Item,
  options: { title: string; description: string; examples: unknown[] }
) {
  return Type.Object(
    {
      ...({ [name]: Type.Array(item) } as { [K in Name]: ReturnType<typeof Type.Array<Item>> }),
      next_cursor: nullable(Type.String(), {
        description: 'Pass it as `cursor` for the next page. Null on the last page.'
      })
    },
    options
  )
}

/** Adds the response header with the next page to the schema of a page. */
export function withNextLink<T extends TSchema>(answer: T) {
  return Type.Unsafe<Static<T>>({
    ...answer,
    headers: {
      Link: {
        type: 'string',
        description:
          'The path of the next page, with the relation `next` (RFC 8288). Absent on the last page.',
        examples: ['</api/v1/segments?limit=100&cursor=WyJzZWdtZW50cyIsIlBST01PXzUiXQ>; rel="next"']
      }
    }
  })
}
