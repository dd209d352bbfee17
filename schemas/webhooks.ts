import { type Static, Type } from '@sinclair/typebox'
import { exampleChangeCursor } from './changes.ts'
import { AnsweredTimeSchema, closedObject, describe, nullable, SlugSchema, stringEnum } from './common.ts'

/** The maximum number of segments of one webhook. */
const MAX_SEGMENTS = 100
const exampleUrl = 'https://billing.example.com/segments'
const exampleSecret = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
const exampleTime = '2026-11-23T08:51:00.123456Z'

const WebhookIdSchema = Type.String({
  title: 'WebhookId',
  description: 'The `id` of a webhook.',
  pattern: '^[1-9][0-9]{0,17}$',
  'x-expected': 'the id of a webhook',
  examples: ['1']
})

export const WebhookParamsSchema = Type.Object({ id: WebhookIdSchema })

export const CreateWebhookBodySchema = closedObject(
  {
    url: Type.String({
      description:
        'Where to deliver: an http or https URL, without a user name or a password. Addresses of private networks are ' +
        'refused unless the service is configured otherwise.',
      minLength: 1,
      maxLength: 2_048,
      pattern: '^https?://[!-~]+$',
      'x-expected': 'an http or https URL of up to 2048 ASCII characters, without a user name or a password'
    }),
    segments: Type.Optional(
      Type.Array(SlugSchema, {
        description:
          'Only changes of these segments and their memberships, and erasures of users. By default, those of all segments.',
        minItems: 1,
        maxItems: MAX_SEGMENTS,
        'x-expected': `an array of 1 to ${MAX_SEGMENTS} slugs`
      })
    ),
    secret: Type.Optional(
      Type.String({
        description:
          'The secret that signs the deliveries: `whsec_` and 24 to 64 random bytes in base64. By default, one is made.',
        pattern: '^whsec_[A-Za-z0-9+/]{32,86}={0,2}$',
        'x-expected': 'whsec_ and 24 to 64 bytes in base64'
      })
    )
  },
  {
    title: 'CreateWebhook',
    description: 'The webhook to create.',
    examples: [{ url: exampleUrl }]
  }
)

export const ChangeWebhookBodySchema = closedObject(
  {
    state: stringEnum(['active', 'paused'], {
      description: 'Whether changes are delivered.',
      'x-expected': 'active or paused'
    }),
    after: Type.Optional(
      Type.String({
        description:
          'With the state `active`: continue after this cursor of the change feed. `now` leaves out what has not been ' +
          'delivered. By default, delivery continues where it ended.',
        minLength: 1,
        maxLength: 12_000,
        'x-expected': 'a cursor of the change feed, a day, start or now'
      })
    )
  },
  {
    title: 'ChangeWebhook',
    description: 'What to change.',
    examples: [{ state: 'paused' }]
  }
)

export const PAUSE_REASONS = ['requested', 'failing', 'gone', 'cursor_expired'] as const
export type PauseReason = (typeof PAUSE_REASONS)[number]

const properties = {
  id: describe(WebhookIdSchema, {}),
  url: Type.String(),
  segments: Type.Union([Type.Array(Type.String()), Type.Null()], {
    description: 'The segments whose changes are delivered. Null: all.'
  }),
  state: stringEnum(['active', 'paused']),
  pause_reason: nullable(stringEnum(PAUSE_REASONS), {
    enum: [...PAUSE_REASONS, null],
    description:
      'Null while it is active. `requested`: by a request. `failing`: all deliveries have failed for three days. ' +
      '`gone`: the receiver has answered 410. `cursor_expired`: the changes after `cursor` are no longer kept.'
  }),
  paused_at: nullable(AnsweredTimeSchema),
  created_at: AnsweredTimeSchema,
  created_by: nullable(Type.String(), {
    description: 'The name of the API key. Null if no key was needed.'
  }),
  cursor: Type.String({
    description: 'Everything before this cursor of the change feed has been delivered.'
  }),
  lag_seconds: Type.Number({
    description:
      'The age of the oldest change that is not delivered; 0 if there is none. While the webhook is paused, at most that: ' +
      'the time since the pause.'
  }),
  last_success_at: nullable(AnsweredTimeSchema, { description: 'When a delivery last succeeded.' }),
  last_error: Type.Union(
    [
      Type.Object({
        time: AnsweredTimeSchema,
        status: nullable(Type.Integer(), {
          description: "The receiver's status. Null if it did not answer."
        }),
        message: Type.String()
      }),
      Type.Null()
    ],
    { description: 'The last delivery that failed. It stays after later ones have succeeded.' }
  ),
  failures: Type.Integer({ description: 'Failed deliveries since the last one that succeeded.' }),
  next_attempt_at: nullable(AnsweredTimeSchema, {
    description: 'When the delivery that failed is tried again. Null if it is not.'
  })
}

const example = {
  id: '1',
  url: exampleUrl,
  segments: ['AVITO_VOICE_MESSAGES'],
  state: 'active' as const,
  pause_reason: null,
  paused_at: null,
  created_at: exampleTime,
  created_by: 'marketing',
  cursor: exampleChangeCursor,
  lag_seconds: 0,
  last_success_at: null,
  last_error: null,
  failures: 0,
  next_attempt_at: null
}

export const WebhookSchema = Type.Object(properties, {
  title: 'Webhook',
  description: 'A webhook, without its secret.',
  examples: [example]
})
export type Webhook = Static<typeof WebhookSchema>

export const CreatedWebhookSchema = Type.Intersect(
  [
    WebhookSchema,
    Type.Object({
      secret: nullable(Type.String(), {
        description: 'The secret that was made. It is not shown again. Null if the request had one.'
      })
    })
  ],
  {
    title: 'CreatedWebhook',
    description: 'The webhook, and its secret if one was made.',
    examples: [{ ...example, secret: exampleSecret }]
  }
)

export const WebhooksSchema = Type.Object(
  { webhooks: Type.Array(WebhookSchema) },
  { title: 'Webhooks', description: 'All webhooks, the oldest first.', examples: [{ webhooks: [example] }] }
)

const deliveryHeader = (name: string, description: string, example: string) => ({
  name,
  in: 'header' as const,
  required: true,
  description,
  schema: { type: 'string' as const },
  example
})

/** The headers of a delivery, for the OpenAPI document. */
export const deliveryParameters = [
  deliveryHeader(
    'webhook-id',
    'The id of the batch, the same on each attempt.',
    'msg_jOrVKGWkdPf7zkcMCYSwUQ'
  ),
  deliveryHeader('webhook-timestamp', 'When the attempt was made, in seconds since 1970.', '1795424040'),
  deliveryHeader(
    'webhook-signature',
    'The signature, as in Standard Webhooks.',
    'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4='
  )
]
