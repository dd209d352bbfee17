/**
 * Settings of each connection that the service's SQL relies on. A server, database or role may have other defaults.
 * With another DateStyle a report would have the wrong days; with another isolation level, users would be lost.
 */
export const SESSION_SETTINGS = {
  client_encoding: 'UTF8',
  TimeZone: 'UTC',
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  // Otherwise arrays of parameters with a null would be refused.
  array_nulls: 'on',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  // Connections of a pool may be idle for any time.
  idle_session_timeout: '0'
}

/**
 * Whether the database is on a node of a Citus cluster. Citus chooses the shards of a statement by its parameters, and a
 * generic plan is made without them: with `plan_cache_mode = force_generic_plan` it refuses every statement that is not
 * a simple one on one shard (could not create distributed plan).
 */
export const HAS_CITUS = "exists (select from pg_extension where extname = 'citus')"

/**
 * The first statement of each connection: says whether the server accepts writes, disables `transaction_timeout`,
 * which servers before PostgreSQL 17 would refuse as a startup parameter, and leaves the choice of plans to Citus.
 */
export const SESSION_CHECK = `
  select
    current_setting('transaction_read_only') = 'on' as "isReadOnly",
    case
      when current_setting('transaction_timeout', true) is not null
        then set_config('transaction_timeout', '0', false)
    end,
    case when ${HAS_CITUS} then set_config('plan_cache_mode', 'auto', false) end`
