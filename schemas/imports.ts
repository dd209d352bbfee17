import { type Static, Type } from '@sinclair/typebox'
import { closedObject, ErrorSchema, flagSchema, TimeSchema, UserIdSchema } from './common.ts'

export const ImportQuerySchema = closedObject({
  dry_run: Type.Optional(flagSchema('With `true` nothing is changed: the answer is what would have been.')),
  on_error: Type.Optional(
    Type.Unsafe<'fail' | 'skip'>({
      type: 'string',
      enum: ['fail', 'skip'],
      'x-expected': 'fail or skip',
      description:
        'What a rejected line does: with `fail`, as by default, nothing is changed; with `skip` the good lines are taken.',
      examples: ['fail']
    })
  )
})
export type ImportQuery = Static<typeof ImportQuerySchema>

const RejectedLineSchema = Type.Object({
  line: Type.Integer({ description: 'From 1. Of a JSON array: the place of the element.' }),
  value: Type.String({ description: 'What was rejected, shortened.' }),
  reason: Type.String()
})
export type RejectedLine = Static<typeof RejectedLineSchema>

const RejectedLinesSchema = Type.Object(
  { count: Type.Integer(), first: Type.Array(RejectedLineSchema, { maxItems: 20 }) },
  { description: 'How many lines were rejected, and the first 20 of them.' }
)
export type RejectedLines = Static<typeof RejectedLinesSchema>

const linesSchema = Type.Integer({
  description: 'Lines that say something: all but the header and blank ones.'
})

const addedMembers = {
  lines: linesSchema,
  added: Type.Integer({ description: 'Users who were put into the segment.' }),
  already_members: Type.Integer({
    description: 'Lines whose user was in the segment already, maybe by an earlier line.'
  }),
  new_users: Type.Integer({ description: 'Users the service had never seen.' }),
  rejected: RejectedLinesSchema
}
const removedMembers = {
  lines: linesSchema,
  removed: Type.Integer({ description: 'Users who were taken out of the segment.' }),
  not_members: Type.Integer({
    description: 'Lines whose user was not in the segment, maybe since an earlier line.'
  }),
  rejected: RejectedLinesSchema
}
const knownUsers = {
  lines: linesSchema,
  new_users: Type.Integer({ description: 'Users the service had never seen.' }),
  already_known: Type.Integer({
    description: 'Lines whose user was known already, maybe by an earlier line.'
  }),
  rejected: RejectedLinesSchema
}

export const AddedMembersSchema = Type.Object(addedMembers, {
  title: 'AddedMembers',
  description: 'What became of each line: lines = added + already_members + rejected.count.',
  examples: [{ lines: 3, added: 2, already_members: 1, new_users: 1, rejected: { count: 0, first: [] } }]
})
export const RemovedMembersSchema = Type.Object(removedMembers, {
  title: 'RemovedMembers',
  description: 'What became of each line: lines = removed + not_members + rejected.count.',
  examples: [{ lines: 3, removed: 2, not_members: 1, rejected: { count: 0, first: [] } }]
})
export const KnownUsersSchema = Type.Object(knownUsers, {
  title: 'KnownUsers',
  description: 'What became of each line: lines = new_users + already_known + rejected.count.',
  examples: [{ lines: 3, new_users: 1, already_known: 2, rejected: { count: 0, first: [] } }]
})

/** Any of the accounts. */
export type ImportAccount =
  | Static<typeof AddedMembersSchema>
  | Static<typeof RemovedMembersSchema>
  | Static<typeof KnownUsersSchema>

/** A refusal, which has the account besides where lines were rejected. */
export const ImportErrorSchema = Type.Object(
  {
    ...ErrorSchema.properties,
    ...Type.Partial(Type.Object({ ...addedMembers, ...removedMembers, ...knownUsers })).properties
  },
  {
    title: 'ImportError',
    description:
      'With the code `LINES_REJECTED` it has the account of the lines besides, as if they had been skipped.'
  }
)

const ids = 'Ids are integers from 1 to 9223372036854775807, exact as numbers too.'

/** An upload in each of its forms. A line or an element that is something else is rejected by itself. */
export function uploadSchema(allowsExpiry: boolean) {
  const expiry = '2100-01-01T00:00:00Z'
  const id = Type.Union([Type.Integer({ minimum: 1, format: 'int64' }), UserIdSchema])
  const element = closedObject({
    user_id: id,
    ...(allowsExpiry && { expires_at: Type.Optional(Type.Union([TimeSchema, Type.Null()])) })
  })
  const object = allowsExpiry ? { user_id: 12, expires_at: expiry } : { user_id: 12 }
  const fields = allowsExpiry ? '`user_id` and maybe `expires_at` (RFC 3339)' : '`user_id`'
  const elements = `ids as integers or strings, or objects with ${fields}`
  return {
    content: {
      'text/csv': {
        schema: Type.String({
          title: 'UsersCsv',
          description:
            `A record a line: ${fields}. A first line that names these columns is a header. ` +
            `Blank lines are passed over. ${ids}`,
          examples: [allowsExpiry ? `user_id,expires_at\n10,\n11,${expiry}\n` : 'user_id\n10\n11\n']
        })
      },
      'application/x-ndjson': {
        schema: Type.String({
          title: 'UsersNdjson',
          description: `Each line is JSON: ${elements}. Blank lines are passed over. ${ids}`,
          examples: [`10\n"11"\n${JSON.stringify(object)}\n`]
        })
      },
      'application/json': {
        schema: Type.Array(Type.Union([id, element]), {
          title: 'UsersJson',
          description: `An array of ${elements}. ${ids}`,
          examples: [[10, '11', object]]
        })
      }
    }
  }
}
