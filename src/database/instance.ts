/** This process among the instances of the service, by its connections to PostgreSQL. */
import { hostname } from 'node:os'
import type { Sql } from './connect.ts'

/** PostgreSQL keeps 63 bytes of a name. The end of a long host name tells pods apart. */
const HOST_LENGTH = 32

/** The host and the process id, as in each line of the log. */
export type Instance = { host: string; pid: number }

export const instance: Instance = { host: hostname().slice(-HOST_LENGTH), pid: process.pid }

/** The `application_name` of this instance's connections for a purpose. {@link selectInstances} reads it. */
export function nameConnections(purpose: string): string {
  return `user-segments ${purpose} ${instance.host}:${instance.pid}`
}

/**
 * Selects the instances that are connected to the database with this role, and how many connections each has. None is
 * found if the operator has given the connections another name.
 */
export async function selectInstances(sql: Sql): Promise<(Instance & { connections: number })[]> {
  return sql<(Instance & { connections: number })[]>`
    select name[1] as host, name[2]::integer as pid, count(*)::integer as connections
    from (
      select regexp_match(application_name, '^user-segments \\w+ (\\S+):(\\d{1,9})$') as name
      from pg_stat_activity
      where datname = current_database()
    ) sessions
    where name is not null
    group by name
    order by host, pid`
}
