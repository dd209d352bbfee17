import type { TestService } from './service.ts'

type Entry = { slug: string; operation: string; cause: string }

/** The response to a successful change of a user's segments. */
export const ok = { status: 200, body: '' }

/** Makes the users from 1 on known, without enrollment. */
export async function learnUsers(service: TestService, count: number): Promise<void> {
  await service.sql`insert into users (id) select generate_series(1, ${count}::integer)`
}

/** The members of a segment, at most a thousand. */
export async function members(service: TestService, slug: string): Promise<Set<string>> {
  const { body } = await service.get(`/api/v1/segment/${slug}/users?limit=1000`)
  return new Set((body as { users: { user_id: string }[] }).users.map(({ user_id }) => user_id))
}

/** A user's history: segment, operation and cause of each entry. */
export async function outline(service: TestService, userId: string | number): Promise<string[][]> {
  const { body } = await service.get(`/api/v1/segments/user/${userId}/history`)
  return (body as { entries: Entry[] }).entries.map(({ slug, operation, cause }) => [slug, operation, cause])
}

/** The response to a change of a segment. */
export const changed = (added: number, removed: number) => ({ status: 200, body: { added, removed } })
