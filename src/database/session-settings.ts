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
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  // Connections of a pool may be idle for any time.
  idle_session_timeout: '0'
}

/**
 * The first statement of each connection: says whether the server accepts writes, and disables `transaction_timeout`,
 * which servers before PostgreSQL 17 would refuse as a startup parameter.
 */
export const SESSION_CHECK = `
  select
    current_setting('transaction_read_only') = 'on' as "isReadOnly",
    case
      when current_setting('transaction_timeout', true) is not null
        then set_config('transaction_timeout', '0', false)
    end`
