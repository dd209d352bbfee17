import { type TSchema, Type } from '@sinclair/typebox'

export const MAX_PAGE_SIZE = 1_000
export const DEFAULT_PAGE_SIZE = 100

/**
 * What a list takes in its query.
 *
 * @param cursor an example of the list's own.
 */
export const pageParameters = (cursor: string) => ({
  limit: Type.Optional(
    Type.String({
      description: `Entries in an answer at the most, 1 to ${MAX_PAGE_SIZE}; ${DEFAULT_PAGE_SIZE} by default.`,
      pattern: '^([1-9][0-9]{0,2}|1000)$',
      'x-expected': `an integer from 1 to ${MAX_PAGE_SIZE}`,
      examples: ['', '100']
    })
  ),
  cursor: Type.Optional(
    Type.String({
      description: 'The `next_cursor` of the answer before: goes on behind it.',
      maxLength: 512,
      'x-expected': 'the next_cursor of an answer of this list',
      // The first is what Swagger UI fills in.
      examples: ['', cursor]
    })
  )
})

/** A page of a list under the name of what it lists. */
export function page<Name extends string, Item extends TSchema>(
  name: Name,
  item: Item,
  options: { title: string; description: string; examples: unknown[] }
) {
  return Type.Object(
    {
      ...({ [name]: Type.Array(item) } as { [K in Name]: ReturnType<typeof Type.Array<Item>> }),
      next_cursor: Type.Union([Type.String(), Type.Null()], {
        description: 'Where the list goes on; null at its end.'
      })
    },
    options
  )
}
