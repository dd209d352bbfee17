import type { Sql } from '../../../src/database/connect.ts'

/** The state of a user: the active segments, sorted, and the number of all periods. */
type State = { active: string[]; periods: number }

/**
 * A user whom only one client changes. After a change with an unknown outcome the user is not changed again: both
 * states are right.
 */
export class LedgerUser {
  readonly userId: number
  state: State = { active: [], periods: 0 }
  isKnown = false
  /** The state if the change with the unknown outcome took effect. */
  doubt: State | undefined

  constructor(userId: number) {
    this.userId = userId
  }

  after(add: readonly string[], remove: readonly string[]): State {
    const kept = this.state.active.filter((slug) => !remove.includes(slug))
    return { active: [...kept, ...add].sort(), periods: this.state.periods + add.length }
  }
}

/** A segment that only one client creates and deletes. */
export type LedgerSegment = {
  slug: string
  state: 'asked for' | 'created' | 'asked to be deleted' | 'deleted'
}

/** Every requested write, and its known outcome. */
export class Ledger {
  readonly users: LedgerUser[] = []
  readonly segments: LedgerSegment[] = []

  /** Lists acknowledged writes that are lost, and data that was never requested. Empty if all is well. */
  async findLosses(sql: Sql): Promise<string[]> {
    return [...(await this.#compareUsers(sql)), ...(await this.#compareSegments(sql))]
  }

  async #compareUsers(sql: Sql): Promise<string[]> {
    const rows = await sql<{ user_id: string; active: string[]; periods: number }[]>`
      select
        id as user_id,
        coalesce(array_agg(slug order by slug collate "C") filter (where active), '{}') as active,
        count(slug)::integer as periods
      from users
      left join periods on user_id = id and slug not like 'PROBE%'
      group by id`
    const found = new Map(rows.map(({ user_id, ...state }) => [Number(user_id), JSON.stringify(state)]))
    return this.users.flatMap(({ userId, state, doubt, isKnown }) => {
      const actual = found.get(userId)
      if (actual === undefined && !isKnown) return []
      const expected = [state, doubt].filter((one) => one !== undefined).map((one) => JSON.stringify(one))
      return actual && expected.includes(actual)
        ? []
        : [`user ${userId}: ${expected.join(' or ')}, not ${actual}`]
    })
  }

  async #compareSegments(sql: Sql): Promise<string[]> {
    const rows = await sql<{ slug: string; deleted: boolean }[]>`
      select slug, deleted_at is not null as deleted from segments`
    const found = new Map(rows.map(({ slug, deleted }) => [slug, deleted ? 'deleted' : 'created']))
    return this.segments.flatMap(({ slug, state }) => {
      const actual = found.get(slug)
      const isRight =
        actual === state ||
        (state === 'asked for' && actual !== 'deleted') ||
        (state === 'asked to be deleted' && actual !== undefined)
      return isRight ? [] : [`segment ${slug}: ${state}, not ${actual}`]
    })
  }
}
