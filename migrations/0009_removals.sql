-- Up Migration

-- A removal in bulk has its own cause, as an addition has. The check is wider than the one before: no row needs a look.
alter table memberships
  drop constraint memberships_removed_cause_check,
  add constraint memberships_removed_cause_check
    check (removed_cause in ('request', 'import', 'selection_lowered')) not valid;

-- As before, with the cause.
create or replace function import_removals(p_slug text, p_count_only boolean, p_actor text)
returns bigint
language plpgsql
as $$
declare
  target_id integer := (select id from segments where slug = p_slug and deleted_at is null);
  changed_at timestamptz;
  removed bigint;
begin
  if not p_count_only then
    perform pg_advisory_xact_lock(1, target_id);
  end if;

  perform from segments where id = target_id and deleted_at is null;
  if not found then
    return null;
  end if;

  changed_at := next_moment(target_id);
  perform gather_import_users(changed_at);

  if p_count_only then
    select count(*)
    into removed
    from pg_temp.import_users u
    join memberships m using (user_id)
    where m.segment_id = target_id
      and m.removed_at is null
      and (m.expires_at is null or m.expires_at > changed_at);

    return removed;
  end if;

  update memberships m
  set removed_at = greatest(m.added_at, changed_at),
    removed_cause = 'import',
    removed_by = p_actor
  from pg_temp.import_users u
  where m.segment_id = target_id
    and m.user_id = u.user_id
    and m.removed_at is null
    and (m.expires_at is null or m.expires_at > changed_at);
  get diagnostics removed = row_count;

  perform except_import_users(target_id);
  return removed;
end;
$$;

comment on table assignment_exceptions is
  'Users who were put into the segment or taken out of it by request while it was being filled: that stands. Once it is '
  'full, those who were taken out before they were ever in.';

-- When a segment is no longer being filled. Of the others, their periods tell what was decided.
create function forget_exceptions(p_segment_id integer)
returns void
language sql
as $$
  delete from assignment_exceptions e
  where segment_id = p_segment_id
    and exists (select from memberships where segment_id = e.segment_id and user_id = e.user_id)
$$;

-- As before, but who was taken out before ever being in is remembered.
create or replace function take_assignment_step(current assignments, p_chunk_size integer)
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
    perform forget_exceptions(current.segment_id);
  else
    update assignments set status = 'cancelled' where segment_id = current.segment_id;
    delete from assignment_exceptions where segment_id = current.segment_id;
  end if;

  delete from assignment_chunks where segment_id = current.segment_id;
end;
$$;

-- As before, but who was taken out before ever being in is remembered.
create or replace function continue_assignment(p_chunk_size integer)
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
    perform forget_exceptions(current.segment_id);
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

create or replace function import_removals(p_slug text, p_count_only boolean, p_actor text)
returns bigint
language plpgsql
as $$
declare
  target_id integer := (select id from segments where slug = p_slug and deleted_at is null);
  changed_at timestamptz;
  removed bigint;
begin
  if not p_count_only then
    perform pg_advisory_xact_lock(1, target_id);
  end if;

  perform from segments where id = target_id and deleted_at is null;
  if not found then
    return null;
  end if;

  changed_at := next_moment(target_id);
  perform gather_import_users(changed_at);

  if p_count_only then
    select count(*)
    into removed
    from pg_temp.import_users u
    join memberships m using (user_id)
    where m.segment_id = target_id
      and m.removed_at is null
      and (m.expires_at is null or m.expires_at > changed_at);

    return removed;
  end if;

  update memberships m
  set removed_at = greatest(m.added_at, changed_at),
    removed_by = p_actor
  from pg_temp.import_users u
  where m.segment_id = target_id
    and m.user_id = u.user_id
    and m.removed_at is null
    and (m.expires_at is null or m.expires_at > changed_at);
  get diagnostics removed = row_count;

  perform except_import_users(target_id);
  return removed;
end;
$$;

create or replace function take_assignment_step(current assignments, p_chunk_size integer)
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

create or replace function continue_assignment(p_chunk_size integer)
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

drop function forget_exceptions(integer);

delete from assignment_exceptions e
where exists (select from assignments a where a.segment_id = e.segment_id and a.status in ('done', 'failed'));
comment on table assignment_exceptions is
  'Users who were put into the segment or taken out of it by request while it was being filled: that stands.';

update memberships set removed_cause = null where removed_cause = 'import';
alter table memberships
  drop constraint memberships_removed_cause_check,
  add constraint memberships_removed_cause_check check (removed_cause in ('request', 'selection_lowered'));
