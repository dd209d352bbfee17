import type { Readable } from 'node:stream'
import { type Static, Type } from '@sinclair/typebox'
import { closedObject, DateSchema } from './common.ts'

export const ReportIntervalSchema = closedObject({
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
})
export type ReportInterval = Static<typeof ReportIntervalSchema>

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

export const ReportParamsSchema = closedObject({
  filename: Type.String({
    title: 'ReportFilename',
    description: 'The name from the link: `user-{user_id}_{from}_{to}.csv`.',
    pattern: '^user-[1-9][0-9]{0,18}_[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{4}-[0-9]{2}-[0-9]{2}\\.csv$',
    'x-expected': 'a name like user-10_2023-08-01_2023-08-31.csv',
    examples: ['user-10_2023-08-01_2023-08-31.csv']
  })
})
export type ReportParams = Static<typeof ReportParamsSchema>

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
