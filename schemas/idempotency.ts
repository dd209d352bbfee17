import { type Static, type TSchema, Type } from '@sinclair/typebox'

/** The request header of every write. */
export const IdempotencyKeyHeadersSchema = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      description:
        'Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first ' +
        'one, and has no further effect. Use a new UUID for each write.',
      pattern: '^[!-~]{1,255}$',
      'x-expected': '1 to 255 visible ASCII characters',
      examples: ['8e03978e-40d5-43dd-bc93-6894a57f9324']
    })
  )
})

/** Adds the response header of a replayed answer to the schema of a write's answer. */
export function withReplay<T extends TSchema>(answer: T) {
  return Type.Unsafe<Static<T>>({
    ...answer,
    headers: {
      ...(answer['headers'] as object | undefined),
      'Idempotency-Replayed': {
        type: 'string',
        enum: ['true'],
        description:
          'The answer is that of an earlier request with the same `Idempotency-Key`. Otherwise absent.',
        examples: ['true']
      }
    }
  })
}
