import type { Readable } from 'node:stream'
import { type Static, Type } from '@sinclair/typebox'
import { closedObject, DateSchema, SlugSchema } from './common.ts'

const interval = {
  from: Type.Unsafe<string>({
    ...DateSchema,
    description: 'The first day, in UTC.',
    examples: ['2023-08-01']
  }),
  to: Type.Unsafe<string>({
    ...DateSchema,
    description: 'The day after the last one, in UTC; tomorrow at the latest.',
    examples: ['2023-08-31']
  })
}

export const ReportIntervalSchema = closedObject(interval)
export type ReportInterval = Static<typeof ReportIntervalSchema>

export const OrderReportBodySchema = closedObject(
  {
    ...interval,
    segment: Type.Optional(
      Type.Unsafe<string>({
        ...SlugSchema,
        description:
          'The segment whose history it is, a deleted one too; of all segments where it is left out.',
        examples: ['VOICE_MSG']
      })
    )
  },
  { title: 'OrderReport', examples: [{ from: '2023-08-01', to: '2023-08-31', segment: 'VOICE_MSG' }] }
)
export type OrderReportBody = Static<typeof OrderReportBodySchema>

export const OrderedReportSchema = Type.Object(
  {
    link: Type.String({
      description: 'Where the report can be fetched once it is made.',
      format: 'uri'
    })
  },
  {
    title: 'OrderedReport',
    examples: [
      { link: 'http://127.0.0.1:8080/api/v1/segments/user/history/user-10_2023-08-01_2023-08-31.csv' }
    ]
  }
)
export type OrderedReport = Static<typeof OrderedReportSchema>

/** The name from an order's link: what the report is of, and its interval. */
function reportParams(description: string, subject: string, example: string) {
  return closedObject({
    filename: Type.String({
      title: 'ReportFilename',
      description,
      pattern: `^${subject}_[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{4}-[0-9]{2}-[0-9]{2}\\.csv$`,
      'x-expected': `a name like ${example}`,
      examples: [example]
    })
  })
}

const USER = 'user-[1-9][0-9]{0,18}'

export const UserReportParamsSchema = reportParams(
  'The name from the link: `user-{user_id}_{from}_{to}.csv`.',
  USER,
  'user-10_2023-08-01_2023-08-31.csv'
)

export const ReportParamsSchema = reportParams(
  'The name from the link: `all_{from}_{to}.csv`, `segment-{slug}_{from}_{to}.csv` or `user-{user_id}_{from}_{to}.csv`.',
  `(all|segment-[A-Z0-9][A-Z0-9_.-]{0,127}|${USER})`,
  'segment-VOICE_MSG_2023-08-01_2023-08-31.csv'
)
export type ReportParams = Static<typeof ReportParamsSchema>

const NullableTime = Type.Union([Type.String({ format: 'date-time' }), Type.Null()])

export const ReportStatusSchema = Type.Object(
  {
    status: Type.Union(
      [Type.Literal('queued'), Type.Literal('running'), Type.Literal('ready'), Type.Literal('failed')],
      { description: '`failed` after five attempts: order it again.' }
    ),
    rows: Type.Integer({ description: 'Rows without the header: so far, while it is running.' }),
    bytes: Type.Union([Type.Integer(), Type.Null()], { description: 'Of the file, once it is ready.' }),
    sha256: Type.Union([Type.String(), Type.Null()], { description: 'Of the file, in hexadecimal.' }),
    created_at: Type.String({ format: 'date-time', description: 'When it was ordered.' }),
    finished_at: NullableTime,
    error: Type.Union([Type.String(), Type.Null()], { description: 'Why the last attempt failed.' })
  },
  {
    title: 'ReportStatus',
    description: 'How far the report is.',
    examples: [
      {
        status: 'ready',
        rows: 2,
        bytes: 134,
        sha256: 'f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2',
        created_at: '2026-11-23T08:51:00.123456Z',
        finished_at: '2026-11-23T08:51:00.345678Z',
        error: null
      }
    ]
  }
)
export type ReportStatus = Static<typeof ReportStatusSchema>

/** The columns of a history report, in their order. */
export const reportColumns = ['user_id', 'segment_slug', 'operation', 'date'] as const

export const ReportCsvSchema = Type.Unsafe<Readable>(
  Type.String({
    title: 'HistoryReport',
    description: 'The history, oldest first. The header is there even with no rows.',
    examples: [
      'user_id,segment_slug,operation,date\n' +
        '1,SEL-AUTOS,add,2023-08-30T01:22:13.408561Z\n' +
        '1,SEL-AUTOS,delete,2023-08-30T02:02:39.792499Z\n'
    ]
  })
)
