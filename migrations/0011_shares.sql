-- Up Migration

drop function add_random_members(integer, bigint, text);
drop function remove_random_members(integer, bigint, text);

-- Puts random users in who are no members at p_at and whom nobody has ever taken out by name, p_count of them or as many
-- as there are. Answers how many. The caller holds the segment's lock.
create function add_random_members(p_segment_id integer, p_count bigint, p_at timestamptz, p_actor text)
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
        and (p.ended_at is null or p.ended_at > p_at or p.ended_cause in ('request', 'import'))
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
  update memberships
  set removed_at = greatest(added_at, expires_at)
  where segment_id = p_segment_id
    and user_id = any(drawn)
    and removed_at is null;

  changed_at := next_moment(p_segment_id);

  insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
  select id, p_segment_id, changed_at, 'selection', p_actor
  from unnest(drawn) as id;

  get diagnostics added = row_count;
  return added;
end;
$$;

-- Takes p_count random users out, at p_at, who are members by chance then. Answers how many. The caller holds the
-- segment's lock.
create function remove_random_members(p_segment_id integer, p_count bigint, p_at timestamptz, p_actor text)
returns bigint
language plpgsql
set work_mem = '64MB'
as $$
declare
  drawn bigint[];
  removed bigint;
begin
  select array_agg(user_id order by user_id)
  into drawn
  from (
    select user_id
    from open_periods
    where segment_id = p_segment_id
      and (expires_at is null or expires_at > p_at)
      and added_cause in ('selection', 'enrollment')
    order by random()
    limit p_count
  ) lot;

  -- By an array: while the statistics don't know the segment, a join would look for each among all.
  update memberships
  set removed_at = greatest(added_at, p_at),
    removed_cause = 'selection_lowered',
    removed_by = p_actor
  where segment_id = p_segment_id
    and user_id = any(drawn)
    and removed_at is null;

  get diagnostics removed = row_count;
  return removed;
end;
$$;

-- As before, but who is a member is judged at one moment, under the lock: what expires while it waits, or draws, was
-- counted and taken out besides. And nobody leaves where the share is raised, or asked for again: by luck more may have
-- joined when first seen. The lock (3, 0) keeps those who are not known yet from becoming so (see change_user_segments).
create or replace function change_segment(
  p_slug text,
  p_selection numeric,
  p_description text,
  p_enroll_new_users boolean,
  p_actor text
)
returns table (outcome text, added bigint, removed bigint)
language plpgsql
as $$
declare
  current segments;
  moment timestamptz;
  surplus bigint;
begin
  added := 0;
  removed := 0;

  if p_enroll_new_users then
    perform pg_advisory_xact_lock(3, 0);
  end if;

  perform pg_advisory_xact_lock(1, id) from segments where slug = p_slug;
  select * into current from segments where slug = p_slug and deleted_at is null;

  outcome := case
    when current.id is null then 'not_found'
    when p_enroll_new_users and p_selection is null and current.selection is null then 'no_selection'
    when p_selection is not null and exists (
      select from assignments where segment_id = current.id and status in ('queued', 'running')
    ) then 'filling'
    else 'changed'
  end;
  if outcome <> 'changed' then
    return next;
    return;
  end if;

  update segments
  set selection = coalesce(p_selection, selection),
    description = nullif(coalesce(p_description, description), ''),
    enroll_new_users = coalesce(p_enroll_new_users, enroll_new_users)
  where id = current.id;

  if p_selection is not null then
    moment := next_moment(current.id);

    select count(*) - ceil(p_selection * (select count(*) from users))
    into surplus
    from open_periods
    where segment_id = current.id
      and (expires_at is null or expires_at > moment)
      and added_cause in ('selection', 'enrollment');

    if surplus < 0 then
      added := add_random_members(current.id, -surplus, moment, p_actor);
    elsif surplus > 0 and p_selection < current.selection then
      removed := remove_random_members(current.id, surplus, moment, p_actor);
    end if;
  end if;

  return next;
end;
$$;

-- Down Migration

drop function add_random_members(integer, bigint, timestamptz, text);
drop function remove_random_members(integer, bigint, timestamptz, text);

create function add_random_members(p_segment_id integer, p_count bigint, p_actor text)
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

create function remove_random_members(p_segment_id integer, p_count bigint, p_actor text)
returns bigint
language plpgsql
set work_mem = '64MB'
as $$
declare
  changed_at timestamptz := next_moment(p_segment_id);
  removed bigint;
begin
  with lot as (
    select user_id, added_at
    from periods
    where segment_id = p_segment_id
      and active
      and added_cause in ('selection', 'enrollment')
    order by random()
    limit p_count
  )
  update memberships m
  set removed_at = greatest(m.added_at, changed_at),
    removed_cause = 'selection_lowered',
    removed_by = p_actor
  from lot
  where m.segment_id = p_segment_id
    and m.user_id = lot.user_id
    and m.added_at = lot.added_at;

  get diagnostics removed = row_count;
  return removed;
end;
$$;

create or replace function change_segment(
  p_slug text,
  p_selection numeric,
  p_description text,
  p_enroll_new_users boolean,
  p_actor text
)
returns table (outcome text, added bigint, removed bigint)
language plpgsql
as $$
declare
  current segments;
  surplus bigint;
begin
  added := 0;
  removed := 0;

  perform pg_advisory_xact_lock(1, id) from segments where slug = p_slug;
  select * into current from segments where slug = p_slug and deleted_at is null;

  outcome := case
    when current.id is null then 'not_found'
    when p_enroll_new_users and p_selection is null and current.selection is null then 'no_selection'
    when p_selection is not null and exists (
      select from assignments where segment_id = current.id and status in ('queued', 'running')
    ) then 'filling'
    else 'changed'
  end;
  if outcome <> 'changed' then
    return next;
    return;
  end if;

  update segments
  set selection = coalesce(p_selection, selection),
    description = nullif(coalesce(p_description, description), ''),
    enroll_new_users = coalesce(p_enroll_new_users, enroll_new_users)
  where id = current.id;

  if p_selection is not null then
    select count(*) - ceil(p_selection * (select count(*) from users))
    into surplus
    from periods
    where segment_id = current.id
      and active
      and added_cause in ('selection', 'enrollment');

    if surplus < 0 then
      added := add_random_members(current.id, -surplus, p_actor);
    elsif surplus > 0 then
      removed := remove_random_members(current.id, surplus, p_actor);
    end if;
  end if;

  return next;
end;
$$;
