-- Makes or drops one partition of the log of changes, or deletes old rows that came before their partition. Returns whether
-- there may be more to do. The caller holds the upkeep lock, and limits how long this waits for others (lock_timeout).
--
-- A partition is dropped a day after the last cursor that needs it has expired. The retention, in days, counts back from the
-- newest change: otherwise the cursors of a service without changes would expire.
--
-- This is a function because the role of the service may neither create nor drop tables. It runs with the rights of the
-- role that migrates, and only roles to whom it is granted may call it. The parameter is all that a caller can choose:
-- changes of less than a day are never dropped.
create or replace function keep_change_partitions(p_retention integer)
returns boolean
language plpgsql
security definer
set timezone = 'UTC'
as $$
declare
  made_ahead constant integer := 7;
  missing_day date;
  first_day date;
  has_deleted boolean;
  expired_name text;
begin
  -- From tomorrow on. While a partition of today is attached, a write that goes to the default partition would fail: its row
  -- no longer belongs there. A day that already has rows there gets none.
  select day
  into missing_day
  from (select current_date + n as day from generate_series(1, made_ahead) as n) days
  where to_regclass('changes_' || to_char(day, 'YYYYMMDD')) is null
    and not exists (select from changes_default where logged_on = day)
  order by day
  limit 1;

  if missing_day is not null then
    -- Attaching it, unlike creating it as a partition, does not make writes to other partitions wait.
    execute format('create table %I (like changes including all)', 'changes_' || to_char(missing_day, 'YYYYMMDD'));
    execute format(
      'alter table changes attach partition %I for values from (%L) to (%L)',
      'changes_' || to_char(missing_day, 'YYYYMMDD'),
      missing_day,
      missing_day + 1
    );
    return true;
  end if;

  select least(logged_on, current_date) - greatest(p_retention, 1) - 1
  into first_day
  from changes
  order by changes.xid desc
  limit 1;

  delete from changes_default where logged_on < first_day;
  has_deleted := found;

  select relname
  into expired_name
  from pg_inherits
  join pg_class on pg_class.oid = inhrelid
  where inhparent = 'changes'::regclass
    and relname <> 'changes_default'
    and relname < 'changes_' || to_char(first_day, 'YYYYMMDD')
  order by relname
  limit 1;

  if expired_name is not null then
    execute format('drop table %I', expired_name);
  end if;
  return has_deleted or expired_name is not null;
end;
$$;

-- Whatever the caller's search path is, the names are those of this schema. Temporary tables come last.
do $$
begin
  execute format('alter function keep_change_partitions(integer) set search_path = %I, pg_temp', current_schema());
end;
$$;

revoke execute on function keep_change_partitions(integer) from public;
