/**
 * States of the log of changes, and the cursors of the change feed. A state says which rows a reader has seen: those that
 * were visible to its snapshot. So nothing is missed or read twice, in whatever order transactions commit, and no reader
 * waits for a transaction that is in progress.
 */
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Sql } from './connect.ts'

const Whole = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
/** A day, for which {@link isDay}. */
const Day = Type.String()

/**
 * What a reader has seen: the rows of the transactions up to `xid` that had ended.
 *
 * `xid` is that of a committed row, not the snapshot's own limit: ids of transactions that have written nothing durable are
 * given again after a crash of the server.
 */
const StateSchema = Type.Object(
  {
    /** The highest id of a transaction with visible rows; 0 without rows. */
    xid: Whole,
    /** The position of a row of that transaction; 0 without rows. */
    position: Whole,
    /** The day of that row; without rows, the current day. */
    day: Day,
    /** When the change of that row took effect, in microseconds since 1970; 0 without rows. */
    time: Whole,
    /** The highest position of a visible row. */
    last: Whole,
    /** The transactions that were in progress. */
    running: Type.Array(Whole, { maxItems: 10_000 })
  },
  { additionalProperties: false }
)
export type ChangeState = Static<typeof StateSchema>

/** A place between two states: some of the rows that were added have been read. */
const PlaceSchema = Type.Object(
  {
    /** The state that is being read. */
    to: StateSchema,
    /** The position and the day of the last row that has been read, at least in part. */
    position: Whole,
    day: Day,
    /** The last user of that row who has been read; null: all. */
    user: Type.Union([Type.String({ pattern: '^[1-9][0-9]{0,18}$' }), Type.Null()])
  },
  { additionalProperties: false }
)

const CursorSchema = Type.Object(
  { from: StateSchema, place: Type.Optional(PlaceSchema) },
  { additionalProperties: false }
)
/** How far a consumer has read. Without `place`, it has read everything that `from` has. */
export type ChangeCursor = Static<typeof CursorSchema>

/** Nothing has been read. No other cursor has this day. */
export const START: ChangeCursor = {
  from: { xid: 0, position: 0, day: '1970-01-01', time: 0, last: 0, running: [] }
}

const DAY_MS = 86_400_000

/**
 * The cursor that has seen what transactions wrote that began before a day, in UTC: as if there were no rows on the day after it,
 * as a state also needs those of the day before.
 *
 * @returns undefined if there is no such day.
 */
export function beginOfDay(day: string): ChangeCursor | undefined {
  if (!isDay(day)) return undefined
  const next = new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10)
  return isDay(next) ? { from: { ...START.from, day: next } } : undefined
}

/** Whether PostgreSQL takes a text for a day of the calendar. It has no year 0. */
function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || text.startsWith('0000')) return false
  const time = Date.parse(text)
  // JavaScript takes the 30th of February for the 2nd of March.
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text)
}

const VERSION = 1

/** Encodes a cursor as opaque text. */
export function encodeChangeCursor({ from, place }: ChangeCursor): string {
  const parts = place
    ? [packState(from), packState(place.to), place.position, place.day, place.user]
    : [packState(from)]
  return Buffer.from(JSON.stringify([VERSION, ...parts])).toString('base64url')
}

const packState = ({ xid, position, day, time, last, running }: ChangeState) => [
  xid,
  position,
  day,
  time,
  last,
  // Most are close to `xid`.
  running.map((id) => id - xid)
]

/** @returns undefined if the text is not a cursor. */
export function decodeChangeCursor(text: string): ChangeCursor | undefined {
  const parts = parseArray(text)
  if (!parts || parts[0] !== VERSION) return undefined
  const [, from, to, position, day, user] = parts
  const cursor: unknown =
    parts.length === 2
      ? { from: unpackState(from) }
      : { from: unpackState(from), place: { to: unpackState(to), position, day, user } }
  if (!Value.Check(CursorSchema, cursor)) return undefined
  const { from: first, place } = cursor
  const days = place ? [first.day, place.to.day, place.day] : [first.day]
  if (!days.every(isDay)) return undefined
  return encodeChangeCursor(cursor) === text ? cursor : undefined
}

function parseArray(text: string): unknown[] | undefined {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    return Array.isArray(parts) ? parts : undefined
  } catch {
    return undefined
  }
}

function unpackState(state: unknown): unknown {
  if (!Array.isArray(state)) return undefined
  const [xid, position, day, time, last, running] = state
  return {
    xid,
    position,
    day,
    time,
    last,
    running: Array.isArray(running)
      ? running.map((difference) => Number(xid) + Number(difference))
      : undefined
  }
}

/**
 * Reads the cursor that has seen what the snapshot of the statement sees. In a transaction with `repeatable read`, the other
 * statements see the same.
 */
export async function selectChangeCursor(sql: Sql): Promise<string> {
  return encodeChangeCursor({ from: await selectChangeState(sql) })
}

type StateRow = {
  snapshot: string
  today: string
  xid: string | null
  position: string | null
  day: string | null
  time: string | null
  last: string | null
}

/** Reads the state of the log as the snapshot of the statement sees it. */
export async function selectChangeState(sql: Sql): Promise<ChangeState> {
  const [row] = await sql<[StateRow]>`
    select
      pg_current_snapshot()::text as snapshot,
      current_date::text as today,
      newest.xid::text,
      newest.position::text,
      newest.logged_on::text as day,
      (extract(epoch from newest.changed_at) * 1000000)::bigint::text as time,
      (select max(position) from changes)::text as last
    from (values (1)) one_row
    left join (
      select xid, position, logged_on, changed_at
      from changes
      order by changes.xid desc
      limit 1
    ) newest on true`
  const running = row.snapshot.split(':')[2] ?? ''
  return {
    xid: Number(row.xid ?? 0),
    position: Number(row.position ?? 0),
    day: row.day ?? row.today,
    time: Number(row.time ?? 0),
    last: Number(row.last ?? 0),
    running: running === '' ? [] : running.split(',').map(Number)
  }
}
