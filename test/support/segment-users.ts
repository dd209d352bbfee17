import { once } from 'node:events'
import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import { type TestDatabase, waitUntil } from './service.ts'

/** So many that a client that reads nothing stalls the stream: 12 MB, of which the system buffers 4 MB. */
const MANY = 600_000
/** Their ids end with the largest possible one. */
export const FIRST_OF_MANY = 9223372036854775807n - BigInt(MANY - 1)

/** The segment BIG, with the users of the largest ids. */
export async function insertMany({ sql }: TestDatabase): Promise<void> {
  await sql`insert into segments (slug) values ('BIG')`
  await sql`
    insert into memberships (user_id, segment_id)
    select ${String(FIRST_OF_MANY)}::bigint + n, id from segments, generate_series(0, ${MANY - 1}::integer) n
    where slug = 'BIG'`
  await sql`insert into users (id) values (10)`
}

/** The whole CSV of them. */
export function expectedMany(): string {
  return `user_id\n${Array.from({ length: MANY }, (_, n) => `${FIRST_OF_MANY + BigInt(n)}\n`).join('')}`
}

/** A response that has begun and is not read yet. */
export type Client = { request: ClientRequest; response: IncomingMessage }

/**
 * Requests the users of BIG, and reads only the head of the response. The caller reads the rest.
 *
 * The connection is a new one: on one that has carried a whole list, the system buffers as much as that.
 */
export async function openUsers(address: string): Promise<Client> {
  const request = get(`${address}/api/v1/segment/BIG/users.csv`, { agent: false })
  request.on('error', () => {})
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  return { request, response }
}

/** Counts the streams: they are the only transactions in progress on the pool for bulk work. */
async function selectStreams({ sql }: TestDatabase): Promise<{ state: string }[]> {
  return sql<{ state: string }[]>`
    select state from pg_stat_activity
    where datname = current_database()
      and application_name like 'user-segments bulk %'
      and xact_start is not null`
}

/** How many consecutive checks must find the same. */
const STEADY = 10

/** Waits until that many streams steadily wait for their clients. */
export async function waitForStalled(database: TestDatabase, count: number): Promise<void> {
  let looks = 0
  await waitUntil(
    async () => {
      const streams = await selectStreams(database)
      const waiting = streams.filter(({ state }) => state === 'idle in transaction').length
      looks = waiting === count ? looks + 1 : 0
      return { looks, waiting }
    },
    ({ looks }) => looks === STEADY
  )
}

/** Waits until that many streams are left. */
export async function waitForStreams(database: TestDatabase, count: number): Promise<void> {
  await waitUntil(
    async () => (await selectStreams(database)).length,
    (streams) => streams === count
  )
}

/** Terminates the connections of all streams. */
export async function killStreams({ sql }: TestDatabase): Promise<void> {
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database()
      and application_name like 'user-segments bulk %'
      and xact_start is not null`
}
