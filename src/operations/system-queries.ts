import { formatTime, type Sql } from '../database/connect.ts'

/** What one statement reads of the database, in milliseconds however many users there are. */
export type Overview = {
  postgresql: string
  citus: string | null
  bytes: string | null
  migrations: string[]
  failed_assignments: number
  failed_reports: number
  imports: number
  segments: number
  groups: number
  oldest_change: string | null
  newest_change: string | null
}

/** Of the tables that may be large, it reads no more than an index entry. */
export async function selectOverview(sql: Sql): Promise<Overview> {
  const [row] = await sql<[Overview]>`
    select
      current_setting('server_version') as postgresql,
      citus.extversion as citus,
      -- On Citus, it would be the size of the coordinator.
      case when citus.extversion is null then pg_database_size(current_database())::text end as bytes,
      (select json_agg(name order by name) from pgmigrations) as migrations,
      (
        select count(*)::integer
        from assignments
        join segments on segments.id = segment_id
        where status = 'failed'
          and deleted_at is null
      ) as failed_assignments,
      (select count(*)::integer from reports where status = 'failed') as failed_reports,
      (select count(*)::integer from imports where ended_at is null) as imports,
      (select count(*)::integer from segments where deleted_at is null) as segments,
      (select count(*)::integer from exclusive_groups where deleted_at is null) as groups,
      (
        select ${formatTime(sql, 'changed_at')}
        from changes
        order by changes.position
        limit 1
      ) as oldest_change,
      (
        select ${formatTime(sql, 'changed_at')}
        from changes
        order by changes.position desc
        limit 1
      ) as newest_change
    from (values (1)) one_row
    left join pg_extension citus on extname = 'citus'`
  return row
}
