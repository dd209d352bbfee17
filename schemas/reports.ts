import type { Readable } from 'node:stream'
import { type Static, Type } from '@sinclair/typebox'
import {
  AnsweredTimeSchema,
  closedObject,
  DateSchema,
  describe,
  flagSchema,
  nullable,
  SlugSchema,
  stringEnum,
  TimeSchema
} from './common.ts'
import { ConditionalHeadersSchema } from './conditional.ts'

const interval = {
  from: Type.Optional(
    describe(DateSchema, {
      description: 'The first day, in UTC. It is inclusive.',
      examples: ['2023-08-01'],
      'x-fill': true
    })
  ),
  to: Type.Optional(
    describe(DateSchema, {
      description: 'The day after the last one, in UTC. It is exclusive, and tomorrow at the latest.',
      examples: ['2023-08-31'],
      'x-fill': true
    })
  ),
  month: Type.Optional(
    Type.String({
      description:
        'A month, as `YYYY-MM`, instead of `from` and `to`. The report of the current month is up to now.',
      pattern: '^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(0[1-9]|1[0-2])$',
      'x-expected': 'a month, as YYYY-MM',
      examples: ['2023-08']
    })
  )
}

const details = flagSchema(
  'Whether the report has three further columns: `cause`, `actor` and `expires_at`, which is the expiry that an addition was made with.'
)

export const UserReportQuerySchema = closedObject({ ...interval, details })

/** The days of a report, as an order gives them. */
export type GivenInterval = Pick<Static<typeof UserReportQuerySchema>, 'from' | 'to' | 'month'>

export const OrderReportBodySchema = closedObject(
  {
    ...interval,
    details: Type.Optional(details),
    segment: Type.Optional(
      describe(SlugSchema, {
        description: 'The segment to report on, which may be deleted. Without it, all segments.',
        examples: ['AVITO_VOICE_MESSAGES']
      })
    )
  },
  {
    title: 'OrderReport',
    description: 'The interval or the month, and optionally a segment.',
    examples: [{ from: '2023-08-01', to: '2023-08-31', segment: 'AVITO_VOICE_MESSAGES' }]
  }
)
export type OrderReportBody = Static<typeof OrderReportBodySchema>

export const OrderedReportSchema = Type.Object(
  {
    link: Type.String({
      description:
        'The URL of the report, where it can be fetched once it is ready. Use it as it is: `as_of` keeps it from ' +
        'serving data older than the order, and `signature` opens it without a key, as in a browser.',
      format: 'uri'
    })
  },
  {
    title: 'OrderedReport',
    description: 'The report is being made, or is ready.',
    examples: [
      { link: 'http://127.0.0.1:8080/api/v1/segments/user/history/user-10_2023-08-01_2023-08-31.csv' }
    ]
  }
)
export type OrderedReport = Static<typeof OrderedReportSchema>

/** The filename in the link of a report: its subject, its interval, and whether it has details. */
function reportParams(description: string, subject: string, example: string) {
  return closedObject({
    filename: Type.String({
      description,
      pattern: `^${subject}_[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{4}-[0-9]{2}-[0-9]{2}(_details)?\\.csv$`,
      'x-expected': `a name like ${example}`,
      examples: [example]
    })
  })
}

const USER = 'user-[1-9][0-9]{0,18}'

export const UserReportParamsSchema = reportParams(
  'The filename in the link: `user-{user_id}_{from}_{to}.csv`. With details, it ends with `_details.csv`.',
  USER,
  'user-10_2023-08-01_2023-08-31.csv'
)

export const ReportParamsSchema = reportParams(
  'The filename in the link: `all_{from}_{to}.csv`, `segment-{slug}_{from}_{to}.csv` or `user-{user_id}_{from}_{to}.csv`. With details, it ends with `_details.csv`.',
  `(all|segment-[A-Z0-9][A-Z0-9_.-]{0,127}|${USER})`,
  'segment-AVITO_VOICE_MESSAGES_2023-08-01_2023-08-31.csv'
)
export type ReportParams = Static<typeof ReportParamsSchema>

const asOf = Type.Optional(
  describe(TimeSchema, {
    description: 'The time of an order, from its link. Nothing older is served.',
    examples: ['2023-08-31T12:00:00.123456Z']
  })
)

export const ReportLinkQuerySchema = closedObject({ as_of: asOf })

export const SignedLinkQuerySchema = closedObject({
  as_of: asOf,
  signature: Type.Optional(
    Type.String({
      description: 'The signature of the link, which replaces a key. It is there if keys are configured.',
      pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\.[A-Za-z0-9_-]{43}$',
      'x-expected': 'the signature of the link',
      examples: ['1f0c8a52-6f7e-4d0e-9c43-0d5b7c1e2a90.mJ0mX1h0n9V0r3bq1v5c8k2z7y4w6u0t9s8r7q6p5o4']
    })
  )
})

export const ReportFileHeadersSchema = Type.Object({
  range: Type.Optional(
    Type.String({ description: 'One range of bytes, which is answered with 206.', examples: ['bytes=0-99'] })
  ),
  ...ConditionalHeadersSchema.properties
})

export const ReportStatusSchema = Type.Object(
  {
    status: stringEnum(['queued', 'running', 'ready', 'failed'], {
      description: '`failed` after five attempts: order it again.'
    }),
    rows: Type.Integer({ description: 'Rows without the header: so far, while it is running.' }),
    bytes: nullable(Type.Integer(), { description: 'The size of the file. Null until it is ready.' }),
    sha256: nullable(Type.String(), {
      description: 'The digest of the file, in hexadecimal. Null until it is ready.'
    }),
    created_at: describe(AnsweredTimeSchema, { description: 'When it was ordered.' }),
    finished_at: nullable(AnsweredTimeSchema, { description: 'When it was ready, or failed for good.' }),
    error: nullable(Type.String(), { description: 'Why the last attempt failed.' }),
    link: Type.String({
      description:
        'The link, with a signature where keys are configured: once it is ready, it opens in a browser.',
      format: 'uri'
    })
  },
  {
    title: 'ReportStatus',
    description: 'The progress of a report.',
    examples: [
      {
        status: 'ready',
        rows: 2,
        bytes: 134,
        sha256: 'f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2',
        created_at: '2026-11-23T08:51:00.123456Z',
        finished_at: '2026-11-23T08:51:00.345678Z',
        error: null,
        link: 'http://127.0.0.1:8080/api/v1/segments/user/history/user-10_2023-08-01_2023-08-31.csv'
      }
    ]
  }
)
export type ReportStatus = Static<typeof ReportStatusSchema>

export const ReportCsvSchema = Type.Unsafe<Readable>(
  Type.String({
    title: 'ReportCsv',
    description: 'The history, oldest first. The header is there even if there are no rows.',
    examples: [
      'user_id,segment_slug,operation,date\n' +
        '1,SEL-AUTOS,add,2023-08-30T01:22:13.408561Z\n' +
        '1,SEL-AUTOS,delete,2023-08-30T02:02:39.792499Z\n'
    ]
  })
)
