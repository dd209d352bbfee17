/**
 * The service without the log from which the change feed is read: it logs no changes of memberships by many users. Its
 * `search_path` has a function for changes of single users that logs none either.
 */
import { registerHooks } from 'node:module'

/** Instead of `src/database/change-log.ts`. PostgreSQL does not execute a `select` that nothing reads. */
const source = `
  export const logMemberships = (sql) => sql\`select user_id from changed\`
  export async function logErasure() {}`

registerHooks({
  load: (url, context, nextLoad) =>
    url.endsWith('/src/database/change-log.ts')
      ? { format: 'module', source, shortCircuit: true }
      : nextLoad(url, context)
})
await import('./service.ts')
