-- Up Migration

-- A report is of one user, of one segment, or of all users in all segments.
alter table reports
  alter column user_id drop not null,
  add column segment_slug text,
  -- When the attempt that has the report in hand, or has made it, began.
  add column claimed_at timestamptz,
  add constraint reports_subject_check check (user_id is null or segment_slug is null);

drop function order_report(text, bigint, date, date, interval, text, uuid, bigint);

-- As before, of a user or of a segment, or where both are null, of all. Instances of the previous version name no segment.
create function order_report(
  p_filename text,
  p_user_id bigint,
  p_from date,
  p_to date,
  p_settled_after interval,
  p_request_id text,
  p_lost uuid,
  p_capacity bigint,
  p_segment_slug text default null
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

  insert into reports as r (filename, user_id, segment_slug, from_date, to_date, request_id)
  values (p_filename, p_user_id, p_segment_slug, p_from, p_to, p_request_id)
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

-- Instances of the previous version know reports of users alone, and would make an empty one of any other. They don't write
-- claimed_at: what they would take is left for those that do.
create function leave_report()
returns trigger
language plpgsql
as $$
begin
  return null;
end;
$$;

create trigger leave_report before update on reports
for each row
when (
  new.user_id is null
  and new.status = 'running'
  and new.token is distinct from old.token
  and new.claimed_at is not distinct from old.claimed_at
)
execute function leave_report();

-- Down Migration

drop trigger leave_report on reports;
drop function leave_report();
drop function order_report(text, bigint, date, date, interval, text, uuid, bigint, text);
-- Their files are swept up, as nobody knows them any more.
delete from reports where user_id is null;
alter table reports
  drop constraint reports_subject_check,
  drop column claimed_at,
  drop column segment_slug,
  alter column user_id set not null;

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
