import { once } from 'node:events'
import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import { type TestDatabase, waitUntil } from './service.ts'

/** So many that a client that takes nothing holds the stream up: 20 MB. */
const MANY = 1_000_000
/** Their ids end with the largest there is. */
export const FIRST_OF_MANY = 9223372036854775807n - BigInt(MANY - 1)

/** The segment BIG, with users up to the largest id. */
export async function insertMany({ sql }: TestDatabase): Promise<void> {
  await sql`insert into segments (slug) values ('BIG')`
  await sql`
    insert into memberships (user_id, segment_id)
    select ${String(FIRST_OF_MANY)}::bigint + n, id from segments, generate_series(0, ${MANY - 1}::integer) n
    where slug = 'BIG'`
  await sql`insert into users (id) values (10)`
}

/** What is sent of them. */
export function expectedMany(): string {
  return `user_id\n${Array.from({ length: MANY }, (_, n) => `${FIRST_OF_MANY + BigInt(n)}\n`).join('')}`
}

/** An answer that has begun, and is read by nobody yet. */
export type Client = { request: ClientRequest; response: IncomingMessage }

/** Asks for the users of BIG, and takes nothing but the head of the answer until it is read. */
export async function openUsers(address: string): Promise<Client> {
  const request = get(`${address}/api/v1/segment/BIG/users.csv`)
  request.on('error', () => {})
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  return { request, response }
}

/** How often what is asked for has to hold, one time after the other. */
const STEADY = 10

/** Until so many streams wait for their clients, and go on doing so. */
export async function waitForStalled({ sql }: TestDatabase, count: number): Promise<void> {
  let looks = 0
  await waitUntil(
    async () => {
      const waiting = await sql`
        select from pg_stat_activity
        where datname = current_database()
          and application_name = 'user-segments members'
          and wait_event = 'ClientRead'`
      looks = waiting.length === count ? looks + 1 : 0
      return { looks, waiting: waiting.length }
    },
    ({ looks }) => looks === STEADY
  )
}

/** Until so many connections of streams are left. */
export async function waitForConnections({ sql }: TestDatabase, count: number): Promise<void> {
  await waitUntil(
    async () =>
      (
        await sql`
        select from pg_stat_activity
        where datname = current_database() and application_name = 'user-segments members'`
      ).length,
    (connections) => connections === count
  )
}
