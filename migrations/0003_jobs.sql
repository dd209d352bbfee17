-- Up Migration

create table reports (
  filename text primary key,
  user_id bigint not null,
  from_date date not null,
  to_date date not null,
  status text not null default 'queued' check (status in ('queued', 'running', 'ready', 'failed', 'expired')),
  created_at timestamptz not null default now(),
  -- The latest order's: the report shows all that was committed before.
  ordered_at timestamptz not null default now(),
  request_id text,
  -- Not before: a failed attempt is followed by a pause.
  run_at timestamptz not null default now(),
  attempt integer not null default 0,
  -- Of the attempt that has the report in hand, or has made it. Names its file and fences its writes.
  token uuid unique,
  lease_until timestamptz,
  snapshot_at timestamptz,
  rows bigint not null default 0,
  bytes bigint,
  sha256 text,
  error text,
  finished_at timestamptz,
  expires_at timestamptz,
  check ((token is not null) = (status in ('running', 'ready'))),
  check ((lease_until is not null) = (status = 'running')),
  check ((finished_at is not null) = (status in ('ready', 'failed', 'expired')))
);

comment on table reports is
  'Ordered reports: the queue of those to be made, and what is known of those that were. The files lie elsewhere.';

create index reports_unfinished on reports (run_at) where status in ('queued', 'running');
create index reports_expiry on reports (expires_at) where expires_at is not null;

-- Sees to it that the report is made, and shows nothing older than this order. A report that is final, because it
-- was made when its interval could no longer change, is left as it is, but for one whose file is lost (p_lost, its
-- token). Answers null where p_capacity reports are unfinished already.
create function order_report(
  p_filename text,
  p_user_id bigint,
  p_from date,
  p_to date,
  p_settled_after interval,
  p_request_id text,
  p_lost uuid,
  p_capacity bigint
)
returns reports
language plpgsql
as $$
declare
  report reports;
begin
  -- Read ahead of the lock, so that orders of final reports wait for nobody.
  select * into report from reports where filename = p_filename;

  if report.status = 'ready'
    and report.snapshot_at >= p_to::timestamp at time zone 'utc' + p_settled_after
    and report.expires_at > now()
    and report.token is distinct from p_lost
  then
    return report;
  end if;

  if coalesce(report.status, 'none') not in ('queued', 'running')
    and (select count(*) from reports where status in ('queued', 'running')) >= p_capacity
  then
    return null;
  end if;

  insert into reports as r (filename, user_id, from_date, to_date, request_id)
  values (p_filename, p_user_id, p_from, p_to, p_request_id)
  on conflict (filename) do update
  set ordered_at = clock_timestamp(),
    -- One that is in hand goes on; whether it is new enough is seen when it is done.
    status = case r.status when 'running' then 'running' else 'queued' end,
    token = case r.status when 'running' then r.token end,
    created_at = case when r.status in ('queued', 'running') then r.created_at else now() end,
    request_id = case when r.status in ('queued', 'running') then r.request_id else excluded.request_id end,
    run_at = case when r.status in ('queued', 'running') then r.run_at else now() end,
    attempt = case when r.status in ('queued', 'running') then r.attempt else 0 end,
    rows = case r.status when 'running' then r.rows else 0 end,
    bytes = null,
    sha256 = null,
    snapshot_at = null,
    error = case when r.status in ('queued', 'running') then r.error end,
    finished_at = null,
    expires_at = null
  returning * into report;

  return report;
end;
$$;

-- A step that fails is tried again after a pause, and the assignment given up after five failures in a row.
alter table assignments
  add column attempt integer not null default 0,
  add column run_at timestamptz not null default now(),
  add column error text;
alter table assignments drop constraint assignments_status_check;
alter table assignments add constraint assignments_status_check
  check (status in ('queued', 'running', 'done', 'cancelled', 'failed'));
alter table assignments drop constraint assignments_check;
alter table assignments add constraint assignments_target_check
  check (target is not null or status in ('queued', 'cancelled', 'failed'));

drop function continue_assignment(integer);

-- Takes one step of an assignment: draws its users, or puts the next of them in. While users are put in, requests
-- that change who is in the segment wait (see change_user_segments).
create function take_assignment_step(current assignments, p_chunk_size integer)
returns void
language plpgsql
as $$
declare
  drawn bigint[];
  filled integer;
begin
  if current.status = 'queued' and exists (
    select from segments where id = current.segment_id and deleted_at is null
  ) then
    drawn := draw_users((select selection from segments where id = current.segment_id), current.requested_at);

    insert into assignment_chunks (segment_id, chunk, user_ids)
    select current.segment_id, chunk, drawn[chunk * p_chunk_size + 1:(chunk + 1) * p_chunk_size]
    from generate_series(0, (cardinality(drawn) - 1) / p_chunk_size) as chunk
    where drawn <> '{}';

    update assignments
    set status = 'running',
      target = cardinality(drawn)
    where segment_id = current.segment_id;
    return;
  end if;

  perform pg_advisory_xact_lock(1, current.segment_id);

  if exists (select from segments where id = current.segment_id and deleted_at is null) then
    filled := fill_assignment_chunk(current.segment_id);
    if filled is not null then
      update assignments set assigned = assigned + filled where segment_id = current.segment_id;
      return;
    end if;
    update assignments set status = 'done' where segment_id = current.segment_id;
  else
    update assignments set status = 'cancelled' where segment_id = current.segment_id;
  end if;

  delete from assignment_chunks where segment_id = current.segment_id;
  delete from assignment_exceptions where segment_id = current.segment_id;
end;
$$;

-- Takes the next step of the assignment that has waited longest and that nobody else is working on. Each step is a
-- transaction: one that breaks off is taken again, by whoever is there. Answers nothing where there is nothing to do.
--
-- A step that fails is taken back, and tried again after a pause. What the whole server suffers from (classes 40,
-- 53, 55, 57, 58) is no fault of the assignment's, but for a statement that took too long.
create function continue_assignment(p_chunk_size integer)
returns table (slug text, attempt integer, error text)
language plpgsql
as $$
#variable_conflict use_column
declare
  current assignments;
begin
  select a.*
  into current
  from assignments a
  where status in ('queued', 'running')
    and run_at <= now()
  order by requested_at
  limit 1
  for update skip locked;

  if not found then
    return;
  end if;

  begin
    perform take_assignment_step(current, p_chunk_size);
    current.attempt := 0;
    current.error := null;
  exception when query_canceled or others then
    if sqlstate ~ '^(40|53|55|57|58)' and sqlstate <> '57014' then
      raise;
    end if;
    current.attempt := current.attempt + 1;
    current.error := sqlerrm;
  end;

  if current.attempt >= 5 then
    update assignments set status = 'failed' where segment_id = current.segment_id;
    delete from assignment_chunks where segment_id = current.segment_id;
    delete from assignment_exceptions where segment_id = current.segment_id;
  end if;

  update assignments
  set attempt = current.attempt,
    error = current.error,
    run_at = case when current.attempt > 0 then clock_timestamp() + make_interval(secs => 4 ^ (current.attempt - 1)) else run_at end
  where segment_id = current.segment_id
    and attempt + current.attempt > 0;

  return query
    select s.slug, current.attempt, current.error
    from segments s
    where s.id = current.segment_id;
end;
$$;

-- Down Migration

-- What was ordered and not made is given up, and so are the files of what was.
drop function continue_assignment(integer);
drop function take_assignment_step(assignments, integer);
drop function order_report(text, bigint, date, date, interval, text, uuid, bigint);
drop table reports;
update assignments set status = 'cancelled' where status = 'failed';
alter table assignments drop constraint assignments_status_check;
alter table assignments add constraint assignments_status_check
  check (status in ('queued', 'running', 'done', 'cancelled'));
alter table assignments drop constraint assignments_target_check;
alter table assignments add constraint assignments_check
  check (target is not null or status in ('queued', 'cancelled'));
alter table assignments drop column attempt, drop column run_at, drop column error;

-- Takes one step of the oldest assignment that is unfinished and that nobody else is working on: draws its
-- users, or puts the next of them in. Answers whether there was anything to do. Each step is a transaction: one
-- that breaks off is taken again, by whoever is there.
--
-- While users are put in, requests that change who is in the segment wait (see change_user_segments).
create function continue_assignment(p_chunk_size integer)
returns boolean
language plpgsql
as $$
declare
  current assignments;
  drawn bigint[];
  filled integer;
begin
  select a.*
  into current
  from assignments a
  where status in ('queued', 'running')
  order by requested_at
  limit 1
  for update skip locked;

  if not found then
    return false;
  end if;

  if current.status = 'queued' and exists (
    select from segments where id = current.segment_id and deleted_at is null
  ) then
    drawn := draw_users((select selection from segments where id = current.segment_id), current.requested_at);

    insert into assignment_chunks (segment_id, chunk, user_ids)
    select current.segment_id, chunk, drawn[chunk * p_chunk_size + 1:(chunk + 1) * p_chunk_size]
    from generate_series(0, (cardinality(drawn) - 1) / p_chunk_size) as chunk
    where drawn <> '{}';

    update assignments
    set status = 'running',
      target = cardinality(drawn)
    where segment_id = current.segment_id;
    return true;
  end if;

  perform pg_advisory_xact_lock(1, current.segment_id);

  if exists (select from segments where id = current.segment_id and deleted_at is null) then
    filled := fill_assignment_chunk(current.segment_id);
    if filled is not null then
      update assignments set assigned = assigned + filled where segment_id = current.segment_id;
      return true;
    end if;
    update assignments set status = 'done' where segment_id = current.segment_id;
  else
    update assignments set status = 'cancelled' where segment_id = current.segment_id;
  end if;

  delete from assignment_chunks where segment_id = current.segment_id;
  delete from assignment_exceptions where segment_id = current.segment_id;
  return true;
end;
$$;
