import { type Static, Type } from '@sinclair/typebox'
import {
  closedObject,
  errorProperties,
  flagSchema,
  nullable,
  stringEnum,
  TimeSchema,
  UserIdSchema
} from './common.ts'

export const ImportQuerySchema = closedObject({
  dry_run: flagSchema('With `true`, nothing is changed: the answer is what would have been.'),
  on_error: stringEnum(['fail', 'skip'], {
    title: 'OnRejectedLine',
    'x-expected': 'fail or skip',
    description:
      'What a rejected line does: with `fail` nothing is changed; with `skip` the accepted lines take effect.',
    default: 'fail',
    examples: ['fail']
  })
})
export type ImportQuery = Static<typeof ImportQuerySchema>

export const ReplacementQuerySchema = closedObject({
  ...ImportQuerySchema.properties,
  max_removed: Type.Optional(
    Type.Integer({
      description:
        'If more users would be removed, nothing is changed. Default: no limit; 0 for an upload without an accepted line.',
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      'x-expected': 'an integer from 0 on',
      examples: [1_000]
    })
  )
})

const RejectedLineSchema = Type.Object(
  {
    line: Type.Integer({ description: 'From 1. In a JSON array: the position of the element.' }),
    value: Type.String({ description: 'What was rejected, shortened.' }),
    reason: Type.String({ description: 'Why, for people.' })
  },
  { title: 'RejectedLine', description: 'A line of the upload that was rejected.' }
)
export type RejectedLine = Static<typeof RejectedLineSchema>

const RejectedLinesSchema = Type.Object(
  { count: Type.Integer(), first: Type.Array(RejectedLineSchema, { maxItems: 20 }) },
  { title: 'RejectedLines', description: 'How many lines were rejected, and the first 20 of them.' }
)
export type RejectedLines = Static<typeof RejectedLinesSchema>

const linesSchema = Type.Integer({
  description: 'Lines of the upload without the header and blank lines.'
})

const addedMembers = {
  lines: linesSchema,
  added: Type.Integer({ description: 'Users who were added to the segment.' }),
  already_members: Type.Integer({
    description: 'Lines whose user was already in the segment, possibly by an earlier line.'
  }),
  new_users: Type.Integer({ description: 'Users the service had never seen.' }),
  rejected: RejectedLinesSchema
}
const removedSchema = Type.Integer({ description: 'Users who were removed from the segment.' })
const replacedMembers = { ...addedMembers, removed: removedSchema }
const removedMembers = {
  lines: linesSchema,
  removed: removedSchema,
  not_members: Type.Integer({
    description: 'Lines whose user was not in the segment, possibly because of an earlier line.'
  }),
  rejected: RejectedLinesSchema
}
const knownUsers = {
  lines: linesSchema,
  new_users: Type.Integer({ description: 'Users the service had never seen.' }),
  already_known: Type.Integer({
    description: 'Lines whose user was already known, possibly by an earlier line.'
  }),
  rejected: RejectedLinesSchema
}

export const AddedMembersSchema = Type.Object(addedMembers, {
  title: 'AddedMembers',
  description: 'The outcome of each line: lines = added + already_members + rejected.count.',
  examples: [{ lines: 3, added: 2, already_members: 1, new_users: 1, rejected: { count: 0, first: [] } }]
})
export type AddedMembers = Static<typeof AddedMembersSchema>
export const ReplacedMembersSchema = Type.Object(replacedMembers, {
  title: 'ReplacedMembers',
  description:
    'The outcome of each line: lines = added + already_members + rejected.count. And how many users were removed.',
  examples: [
    { lines: 3, added: 2, already_members: 1, new_users: 1, removed: 1, rejected: { count: 0, first: [] } }
  ]
})
export const RemovedMembersSchema = Type.Object(removedMembers, {
  title: 'RemovedMembers',
  description: 'The outcome of each line: lines = removed + not_members + rejected.count.',
  examples: [{ lines: 3, removed: 2, not_members: 1, rejected: { count: 0, first: [] } }]
})
export const KnownUsersSchema = Type.Object(knownUsers, {
  title: 'KnownUsers',
  description: 'The outcome of each line: lines = new_users + already_known + rejected.count.',
  examples: [{ lines: 3, new_users: 1, already_known: 2, rejected: { count: 0, first: [] } }]
})

/** The account of any kind of import. */
export type ImportAccount =
  | Static<typeof AddedMembersSchema>
  | Static<typeof ReplacedMembersSchema>
  | Static<typeof RemovedMembersSchema>
  | Static<typeof KnownUsersSchema>

/** The error response to an upload, with its account if lines were rejected. */
export const ImportErrorSchema = Type.Object(
  {
    ...errorProperties(['LINES_REJECTED', 'INVALID_REQUEST', 'INVALID_JSON', 'INVALID_UTF8']),
    ...Type.Partial(Type.Object({ ...addedMembers, ...removedMembers, ...knownUsers })).properties
  },
  {
    title: 'InvalidUploadError',
    description:
      'A failed request. With the code `LINES_REJECTED` it also accounts for each line, as if the rejected ones had ' +
      'been skipped.'
  }
)

const ids =
  'Ids are integers from 1 to 9223372036854775807, exact as numbers too, which may be written as `10.0`.'

const UploadedUserIdSchema = Type.Union(
  [UserIdSchema, Type.Integer({ description: 'A user id as a number.', minimum: 1, format: 'int64' })],
  { title: 'UploadedUserId', description: 'A user id, as a string or as an integer.' }
)

/**
 * An upload in all of its media types. A line or an element that does not match is rejected individually.
 *
 * @param name the prefix of its schemas' names in the OpenAPI document.
 * @param element the name of the schema of an object in the upload.
 */
function uploadSchema(name: string, element: string, allowsExpiry: boolean) {
  const expiry = '2100-01-01T00:00:00Z'
  const object = closedObject(
    {
      user_id: UploadedUserIdSchema,
      ...(allowsExpiry && {
        expires_at: Type.Optional(nullable(TimeSchema, { description: 'When the membership expires.' }))
      })
    },
    { title: element, description: 'An element of an upload that is more than an id.' }
  )
  const example = allowsExpiry ? { user_id: 12, expires_at: expiry } : { user_id: 12 }
  const fields = allowsExpiry ? '`user_id` and optionally `expires_at` (RFC 3339)' : '`user_id`'
  const elements = `ids as integers or strings, or objects with ${fields}`
  const ndjson = {
    schema: Type.String({
      title: `${name}Ndjson`,
      description: `Each line is JSON: ${elements}. Blank lines are ignored. ${ids}`,
      format: 'binary',
      examples: [`10\n"11"\n${JSON.stringify(example)}\n`]
    })
  }
  return {
    content: {
      'text/csv': {
        schema: Type.String({
          title: `${name}Csv`,
          description:
            `One record per line: ${fields}, separated by commas, semicolons or tabs. A first line that names these ` +
            `columns is a header; \`id\` is \`user_id\` too. Blank lines are ignored. Also in UTF-16. ${ids}`,
          // Swagger UI offers a file chooser for it.
          format: 'binary',
          examples: [allowsExpiry ? `user_id,expires_at\n10,\n11,${expiry}\n` : 'user_id\n10\n11\n']
        })
      },
      'application/x-ndjson': ndjson,
      'application/ndjson': ndjson,
      'application/json': {
        schema: Type.Array(
          Type.Union([UploadedUserIdSchema, object], {
            title: `${name}Element`,
            description: `A user id as an integer or a string, or an object with ${fields}.`
          }),
          {
            title: `${name}Json`,
            description: `An array of ${elements}. ${ids}`,
            examples: [[10, '11', example]]
          }
        )
      },
      'multipart/form-data': {
        schema: closedObject(
          {
            file: Type.String({
              description:
                'One of the other forms: JSON by its extension (.json, .ndjson, .jsonl), otherwise CSV.',
              format: 'binary'
            })
          },
          {
            title: `${name}Form`,
            description: 'A form of a browser with one file, and without other fields.',
            examples: [{ file: 'user_id\n10\n11\n' }]
          }
        )
      }
    }
  }
}

/** Users, each optionally with the expiry of the membership. */
export const membershipsUpload = uploadSchema('MembershipsUpload', 'UploadedMembership', true)
export const usersUpload = uploadSchema('UsersUpload', 'UploadedUser', false)
