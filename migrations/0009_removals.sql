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
    -- Of the others, their periods tell.
    delete from assignment_exceptions e
    where segment_id = current.segment_id
      and exists (select from memberships where segment_id = e.segment_id and user_id = e.user_id);
  else
    update assignments set status = 'cancelled' where segment_id = current.segment_id;
    delete from assignment_exceptions where segment_id = current.segment_id;
  end if;

  delete from assignment_chunks where segment_id = current.segment_id;
end;
$$;

-- Puts random users in who are not members and whom nobody has ever taken out by name, p_count of them or as many as
-- there are. Answers how many. The caller holds the segment's lock.
create or replace function add_random_members(p_segment_id integer, p_count bigint, p_actor text)
returns bigint
language plpgsql
set work_mem = '64MB'
as $$
declare
  drawn bigint[];
  changed_at timestamptz;
  added bigint;
begin
  select array_agg(id order by id)
  into drawn
  from (
    select id
    from users u
    where not exists (
      select from periods p
      where p.segment_id = p_segment_id
        and p.user_id = u.id
        and (p.active or p.ended_cause in ('request', 'import'))
    )
    and not exists (
      select from assignment_exceptions e
      where e.segment_id = p_segment_id
        and e.user_id = u.id
    )
    order by random()
    limit p_count
  ) lot;

  -- What has expired is still open, in the way of a new period.
  update memberships m
  set removed_at = greatest(added_at, expires_at)
  from unnest(drawn) as u (id)
  where m.segment_id = p_segment_id
    and m.user_id = u.id
    and m.removed_at is null;

  changed_at := next_moment(p_segment_id);

  insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
  select id, p_segment_id, changed_at, 'selection', p_actor
  from unnest(drawn) as id;

  get diagnostics added = row_count;
  return added;
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

create or replace function add_random_members(p_segment_id integer, p_count bigint, p_actor text)
returns bigint
language plpgsql
set work_mem = '64MB'
as $$
declare
  drawn bigint[];
  changed_at timestamptz;
  added bigint;
begin
  select array_agg(id order by id)
  into drawn
  from (
    select id
    from users u
    where not exists (
      select from periods p
      where p.segment_id = p_segment_id
        and p.user_id = u.id
        and (p.active or p.ended_cause = 'request')
    )
    order by random()
    limit p_count
  ) lot;

  -- What has expired is still open, in the way of a new period.
  update memberships m
  set removed_at = greatest(added_at, expires_at)
  from unnest(drawn) as u (id)
  where m.segment_id = p_segment_id
    and m.user_id = u.id
    and m.removed_at is null;

  changed_at := next_moment(p_segment_id);

  insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
  select id, p_segment_id, changed_at, 'selection', p_actor
  from unnest(drawn) as id;

  get diagnostics added = row_count;
  return added;
end;
$$;

delete from assignment_exceptions e
where exists (select from assignments a where a.segment_id = e.segment_id and a.status = 'done');
comment on table assignment_exceptions is
  'Users who were put into the segment or taken out of it by request while it was being filled: that stands.';

update memberships set removed_cause = null where removed_cause = 'import';
alter table memberships
  drop constraint memberships_removed_cause_check,
  add constraint memberships_removed_cause_check check (removed_cause in ('request', 'selection_lowered'));
