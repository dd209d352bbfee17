import { Type } from '@sinclair/typebox'
import { AnsweredTimeSchema, nullable, stringEnum } from './common.ts'

const count = (description: string) => Type.Integer({ description })
const exampleTime = '2026-11-23T08:51:00.123456Z'

const instanceProperties = { host: Type.String(), pid: Type.Integer() }

const QueueSchema = Type.Object(
  {
    queued: Type.Integer(),
    running: Type.Integer(),
    failed: Type.Integer(),
    oldest_queued_seconds: Type.Number(),
    oldest_running_seconds: Type.Number()
  },
  { title: 'Queue', description: 'Jobs, and the age of the oldest ones: 0 if there are none.' }
)

const exampleQueue = {
  queued: 0,
  running: 1,
  failed: 0,
  oldest_queued_seconds: 0,
  oldest_running_seconds: 2.5
}

export const SystemSchema = Type.Object(
  {
    version: Type.String(),
    instance: Type.Object(
      {
        ...instanceProperties,
        started_at: AnsweredTimeSchema,
        node: Type.String({ description: 'The version of Node.js.' }),
        state: stringEnum(['serving', 'shutting_down'])
      },
      { description: 'The one that answers.' }
    ),
    instances: nullable(Type.Array(Type.Object({ ...instanceProperties, connections: Type.Integer() })), {
      description:
        'All instances that are connected to the database. Null if `DATABASE_URL` names the connections otherwise.'
    }),
    database: Type.Object({
      postgresql: Type.String({ description: 'The version.' }),
      citus: nullable(Type.String(), { description: 'The version. Null without Citus.' }),
      bytes: nullable(Type.Integer(), { description: 'The size. Null with Citus.' }),
      read_servers: Type.Array(Type.Object({ server: Type.String(), serving: Type.Boolean() }), {
        description: 'Whether this instance sends lookups to them.'
      })
    }),
    migrations: Type.Object({
      applied: Type.Array(Type.String()),
      missing: Type.Array(Type.String(), { description: 'Those that this version needs.' })
    }),
    fillings: QueueSchema,
    reports: QueueSchema,
    imports: Type.Object({ running: Type.Integer() }),
    webhooks: Type.Object({
      active: Type.Integer(),
      paused_by_request: Type.Integer(),
      paused_by_service: count('Nothing is delivered until somebody sets them active.'),
      max_lag_seconds: Type.Number({ description: 'The largest `lag_seconds` of the active ones.' })
    }),
    changes: Type.Object({
      oldest_at: nullable(AnsweredTimeSchema, { description: 'The oldest change that is kept.' }),
      newest_at: nullable(AnsweredTimeSchema)
    }),
    segments: count('How many there are, without deleted ones.'),
    groups: count('How many there are, without deleted ones.')
  },
  {
    title: 'System',
    description: 'The state of the service and its database.',
    examples: [
      {
        version: '1.0.0',
        instance: {
          host: 'segments-1',
          pid: 7,
          started_at: exampleTime,
          node: '24.1.0',
          state: 'serving' as const
        },
        instances: [{ host: 'segments-1', pid: 7, connections: 12 }],
        database: {
          postgresql: '18.1',
          citus: null,
          bytes: 4_000_000_000,
          read_servers: [{ server: 'standby:5432', serving: true }]
        },
        migrations: { applied: ['0001_schema'], missing: [] },
        fillings: exampleQueue,
        reports: exampleQueue,
        imports: { running: 0 },
        webhooks: { active: 2, paused_by_request: 0, paused_by_service: 0, max_lag_seconds: 0.4 },
        changes: { oldest_at: exampleTime, newest_at: exampleTime },
        segments: 120,
        groups: 4
      }
    ]
  }
)
