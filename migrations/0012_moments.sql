-- Up Migration

-- Who is known when a segment begins to enroll new users may be drawn for its share, and who becomes known later gets a
-- lot of their own: everybody is one or the other. So users who are not known yet, and segments that begin to enroll, wait
-- for each other, by the lock (3, 0). It comes before those of segments. And what happened when is judged by the clock
-- under the locks.

-- As before, with that lock.
create or replace function change_user_segments(
  p_user_id bigint,
  p_add text[],
  p_delete text[],
  p_expires_at timestamptz default null,
  p_ttl integer default null,
  p_actor text default null
)
returns boolean
language plpgsql
as $$
declare
  is_new boolean := not exists (select from users where id = p_user_id);
  named_ids integer[];
  enrolling_ids integer[];
  add_ids integer[];
  delete_ids integer[];
  filling_ids integer[];
  changed_at timestamptz;
  expiry timestamptz;
begin
  if is_new then
    perform pg_advisory_xact_lock_shared(3, 0);

    select array_agg(id)
    into enrolling_ids
    from segments
    where enroll_new_users
      and deleted_at is null;
  end if;

  select array_agg(id)
  into named_ids
  from segments
  where slug = any(p_add || p_delete);

  perform pg_advisory_xact_lock_shared(1, id)
  from (select distinct id from unnest(named_ids || enrolling_ids) as id order by id) s;

  select
    array_agg(id) filter (where slug = any(p_add)),
    array_agg(id) filter (where slug = any(p_delete)),
    array_agg(id) filter (
      where exists (select from assignments where segment_id = id and status in ('queued', 'running'))
    )
  into add_ids, delete_ids, filling_ids
  from segments
  where id = any(named_ids)
    and deleted_at is null;

  if coalesce(cardinality(add_ids), 0) < cardinality(p_add)
    or coalesce(cardinality(delete_ids), 0) < cardinality(p_delete)
  then
    return false;
  end if;

  perform pg_advisory_xact_lock(p_user_id);

  -- The clock is read under the lock, and never runs backwards for a user and the segments, even when it does for the
  -- server (a failover to one whose clock is behind).
  select greatest(clock_timestamp(), max(greatest(added_at, removed_at)) + interval '1 microsecond')
  into changed_at
  from memberships
  where user_id = p_user_id
    and segment_id = any(named_ids);

  expiry := coalesce(p_expires_at, changed_at + make_interval(secs => p_ttl));
  if expiry <= changed_at then
    return null;
  end if;

  insert into users (id, created_at) values (p_user_id, changed_at) on conflict do nothing;

  if found then
    insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
    select p_user_id, id, changed_at, 'enrollment', p_actor
    from segments
    where id = any(enrolling_ids)
      and id <> all(coalesce(named_ids, '{}'))
      and enroll_new_users
      and deleted_at is null
      and random() < selection::double precision;
  end if;

  -- Ends what is to be deleted, and what has expired and is added again; the end of what goes on is set anew.
  update memberships
  set removed_at = case
      when segment_id = any(delete_ids) or expires_at <= changed_at
        then greatest(added_at, least(changed_at, expires_at))
    end,
    removed_by = case when segment_id = any(delete_ids) then p_actor end,
    expires_at = case
      when segment_id = any(delete_ids) or expires_at <= changed_at then expires_at
      else expiry
    end
  where user_id = p_user_id
    and removed_at is null
    and (segment_id = any(delete_ids) or (segment_id = any(add_ids) and expires_at is distinct from expiry));

  insert into memberships (user_id, segment_id, added_at, expires_at, added_by)
  select p_user_id, unnest(add_ids), changed_at, expiry, p_actor
  on conflict (user_id, segment_id) where removed_at is null do nothing;

  if filling_ids is not null then
    insert into assignment_exceptions (segment_id, user_id)
    select unnest(filling_ids), p_user_id
    on conflict do nothing;
  end if;

  return true;
end;
$$;

-- As before, with that lock.
create or replace function create_segment(
  p_slug text,
  p_selection numeric,
  p_later boolean,
  p_description text default null,
  p_enroll_new_users boolean default false,
  p_actor text default null
)
returns boolean
language plpgsql
as $$
declare
  new_id integer;
  moment timestamptz;
  drawn bigint[];
begin
  if p_enroll_new_users then
    perform pg_advisory_xact_lock(3, 0);
  end if;

  moment := clock_timestamp();

  insert into segments (slug, selection, description, enroll_new_users, created_at, created_by)
  values (p_slug, p_selection, p_description, p_enroll_new_users, moment, p_actor)
  on conflict (slug) do nothing
  returning id into new_id;

  if new_id is null then
    return false;
  end if;

  if p_selection is not null and p_later then
    insert into assignments (segment_id, requested_at) values (new_id, moment);
  elsif p_selection is not null then
    drawn := draw_users(p_selection, 'infinity');

    insert into memberships (user_id, segment_id, added_at)
    select id, new_id, moment
    from unnest(drawn) as id;

    insert into assignments (segment_id, status, target, assigned)
    values (new_id, 'done', cardinality(drawn), cardinality(drawn));
  end if;

  return true;
end;
$$;

-- As before, with that lock, shared.
create or replace function lock_for_import(p_segment_id integer)
returns integer[]
language plpgsql
as $$
declare
  enrolling_ids integer[] := '{}';
  wanted integer;
begin
  if exists (select from pg_temp.import_lines l where not exists (select from users where id = l.user_id)) then
    perform pg_advisory_xact_lock_shared(3, 0);

    enrolling_ids := array(
      select id
      from segments
      where enroll_new_users
        and deleted_at is null
        and id is distinct from p_segment_id
    );
  end if;

  for wanted in
    select id from unnest(enrolling_ids || p_segment_id) as id where id is not null order by id
  loop
    if wanted = p_segment_id then
      perform pg_advisory_xact_lock(1, wanted);
    else
      perform pg_advisory_xact_lock_shared(1, wanted);
    end if;
  end loop;

  return enrolling_ids;
end;
$$;

-- As before, at the moment of the upload.
create or replace function make_import_users_known(p_enrolling_ids integer[], p_at timestamptz, p_actor text)
returns bigint
language plpgsql
as $$
declare
  made_known bigint;
begin
  with new_users as (
    insert into users (id, created_at)
    select user_id, p_at
    from pg_temp.import_users u
    where not exists (select from users where id = u.user_id)
    -- In the order of the ids, so that no two uploads wait for each other, and the index fills in order.
    order by user_id
    on conflict do nothing
    returning id
  ), enrolled as (
    insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
    select user_id, segment_id, p_at, 'enrollment', p_actor
    from (
      select u.id as user_id, s.id as segment_id, s.selection, random() as lot
      from new_users u
      cross join segments s
      where s.id = any(p_enrolling_ids)
        and s.enroll_new_users
        and s.deleted_at is null
    ) lots
    where lot < selection::double precision
    order by segment_id, user_id
  )
  select count(*) into made_known from new_users;

  return made_known;
end;
$$;

-- As before, but times don't run backwards where the server's clock does.
create or replace function delete_segment(p_slug text, p_actor text default null)
returns boolean
language plpgsql
as $$
begin
  perform pg_advisory_xact_lock(1, id) from segments where slug = p_slug;

  update segments
  set deleted_at = greatest(next_moment(id), created_at),
    deleted_by = p_actor
  where slug = p_slug
    and deleted_at is null;

  return found;
end;
$$;

-- As before, but times don't run backwards where the server's clock does.
create or replace function import_members(
  p_slug text,
  p_count_only boolean,
  p_skip boolean,
  p_shown integer,
  p_actor text,
  out added bigint,
  out new_users bigint,
  out late bigint,
  out late_lines bigint[],
  out late_expiries timestamptz[]
)
returns setof record
language plpgsql
as $$
declare
  target_id integer := (select id from segments where slug = p_slug and deleted_at is null);
  enrolling_ids integer[];
  changed_at timestamptz;
  joined_at timestamptz;
begin
  if not p_count_only then
    enrolling_ids := lock_for_import(target_id);
  end if;

  -- Nobody can delete it any more.
  perform from segments where id = target_id and deleted_at is null;
  if not found then
    return;
  end if;

  changed_at := next_moment(target_id);
  perform gather_import_users(changed_at);

  select count(*) into late from pg_temp.import_lines where expires_at <= changed_at;
  select array_agg(line order by line), array_agg(expires_at order by line)
  into late_lines, late_expiries
  from (select line, expires_at from pg_temp.import_lines where expires_at <= changed_at order by line limit p_shown) l;

  if p_count_only or (late > 0 and not p_skip) then
    select
      count(*) filter (where m.user_id is null),
      count(*) filter (where not exists (select from users where id = u.user_id))
    into added, new_users
    from pg_temp.import_users u
    left join memberships m on m.segment_id = target_id
      and m.user_id = u.user_id
      and m.removed_at is null
      and (m.expires_at is null or m.expires_at > changed_at);

    return next;
    return;
  end if;

  new_users := make_import_users_known(enrolling_ids, changed_at, p_actor);

  -- What has expired is still open, in the way of a new period; the end of what goes on is set anew.
  update memberships m
  set removed_at = case when m.expires_at <= changed_at then greatest(m.added_at, m.expires_at) end,
    expires_at = case when m.expires_at <= changed_at then m.expires_at else u.expires_at end
  from pg_temp.import_users u
  where m.segment_id = target_id
    and m.user_id = u.user_id
    and m.removed_at is null
    and (m.expires_at <= changed_at or m.expires_at is distinct from coalesce(u.expires_at, m.expires_at));

  -- Where the clock has gone back, what has expired may have begun, and so ended, ahead of it.
  joined_at := greatest(changed_at, last_removal(target_id) + interval '1 microsecond');

  insert into memberships (user_id, segment_id, added_at, expires_at, added_cause, added_by)
  select user_id, target_id, joined_at, expires_at, 'import', p_actor
  from pg_temp.import_users u
  where not exists (
    select from memberships m
    where m.segment_id = target_id
      and m.user_id = u.user_id
      and m.removed_at is null
  )
  order by user_id;
  get diagnostics added = row_count;

  perform except_import_users(target_id);
  return next;
end;
$$;

-- As before, with a key.
create or replace function gather_import_users(p_at timestamptz)
returns void
language plpgsql
as $$
begin
  analyze pg_temp.import_lines;

  create temporary table import_users on commit drop as
  select distinct on (user_id) user_id, expires_at
  from pg_temp.import_lines
  where expires_at is null
    or expires_at > p_at
  order by user_id, expires_at is null, line desc;

  -- Or each member may be looked for among all of them, while the statistics don't know the segment.
  alter table pg_temp.import_users add primary key (user_id);

  analyze pg_temp.import_users;
end;
$$;

-- Down Migration

create or replace function change_user_segments(
  p_user_id bigint,
  p_add text[],
  p_delete text[],
  p_expires_at timestamptz default null,
  p_ttl integer default null,
  p_actor text default null
)
returns boolean
language plpgsql
as $$
declare
  named_ids integer[];
  enrolling_ids integer[];
  add_ids integer[];
  delete_ids integer[];
  filling_ids integer[];
  changed_at timestamptz;
  expiry timestamptz;
begin
  select array_agg(id)
  into named_ids
  from segments
  where slug = any(p_add || p_delete);

  select array_agg(id)
  into enrolling_ids
  from segments
  where enroll_new_users
    and deleted_at is null
    and not exists (select from users where id = p_user_id);

  perform pg_advisory_xact_lock_shared(1, id)
  from (select distinct id from unnest(named_ids || enrolling_ids) as id order by id) s;

  select
    array_agg(id) filter (where slug = any(p_add)),
    array_agg(id) filter (where slug = any(p_delete)),
    array_agg(id) filter (
      where exists (select from assignments where segment_id = id and status in ('queued', 'running'))
    )
  into add_ids, delete_ids, filling_ids
  from segments
  where id = any(named_ids)
    and deleted_at is null;

  if coalesce(cardinality(add_ids), 0) < cardinality(p_add)
    or coalesce(cardinality(delete_ids), 0) < cardinality(p_delete)
  then
    return false;
  end if;

  perform pg_advisory_xact_lock(p_user_id);

  -- The clock is read under the lock, and never runs backwards for a user and a segment, even when it does
  -- for the server (a failover to one whose clock is behind).
  select greatest(clock_timestamp(), max(removed_at) + interval '1 microsecond')
  into changed_at
  from memberships
  where user_id = p_user_id
    and segment_id = any(add_ids);

  expiry := coalesce(p_expires_at, changed_at + make_interval(secs => p_ttl));
  if expiry <= changed_at then
    return null;
  end if;

  insert into users (id) values (p_user_id) on conflict do nothing;

  if found then
    insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
    select p_user_id, id, changed_at, 'enrollment', p_actor
    from segments
    where id = any(enrolling_ids)
      and id <> all(coalesce(named_ids, '{}'))
      and enroll_new_users
      and deleted_at is null
      and random() < selection::double precision;
  end if;

  -- Ends what is to be deleted, and what has expired and is added again; the end of what goes on is set anew.
  update memberships
  set removed_at = case
      when segment_id = any(delete_ids) or expires_at <= changed_at
        then greatest(added_at, least(changed_at, expires_at))
    end,
    removed_by = case when segment_id = any(delete_ids) then p_actor end,
    expires_at = case
      when segment_id = any(delete_ids) or expires_at <= changed_at then expires_at
      else expiry
    end
  where user_id = p_user_id
    and removed_at is null
    and (segment_id = any(delete_ids) or (segment_id = any(add_ids) and expires_at is distinct from expiry));

  insert into memberships (user_id, segment_id, added_at, expires_at, added_by)
  select p_user_id, unnest(add_ids), changed_at, expiry, p_actor
  on conflict (user_id, segment_id) where removed_at is null do nothing;

  if filling_ids is not null then
    insert into assignment_exceptions (segment_id, user_id)
    select unnest(filling_ids), p_user_id
    on conflict do nothing;
  end if;

  return true;
end;
$$;

create or replace function create_segment(
  p_slug text,
  p_selection numeric,
  p_later boolean,
  p_description text default null,
  p_enroll_new_users boolean default false,
  p_actor text default null
)
returns boolean
language plpgsql
as $$
declare
  new_id integer;
  drawn bigint[];
begin
  insert into segments (slug, selection, description, enroll_new_users, created_by)
  values (p_slug, p_selection, p_description, p_enroll_new_users, p_actor)
  on conflict (slug) do nothing
  returning id into new_id;

  if new_id is null then
    return false;
  end if;

  if p_selection is not null and p_later then
    insert into assignments (segment_id) values (new_id);
  elsif p_selection is not null then
    drawn := draw_users(p_selection, 'infinity');

    insert into memberships (user_id, segment_id)
    select id, new_id
    from unnest(drawn) as id;

    insert into assignments (segment_id, status, target, assigned)
    values (new_id, 'done', cardinality(drawn), cardinality(drawn));
  end if;

  return true;
end;
$$;

create or replace function lock_for_import(p_segment_id integer)
returns integer[]
language plpgsql
as $$
declare
  enrolling_ids integer[] := array(
    select id
    from segments
    where enroll_new_users
      and deleted_at is null
      and id is distinct from p_segment_id
      and exists (select from pg_temp.import_lines l where not exists (select from users where id = l.user_id))
  );
  wanted integer;
begin
  for wanted in
    select id from unnest(enrolling_ids || p_segment_id) as id where id is not null order by id
  loop
    if wanted = p_segment_id then
      perform pg_advisory_xact_lock(1, wanted);
    else
      perform pg_advisory_xact_lock_shared(1, wanted);
    end if;
  end loop;

  return enrolling_ids;
end;
$$;

create or replace function make_import_users_known(p_enrolling_ids integer[], p_at timestamptz, p_actor text)
returns bigint
language plpgsql
as $$
declare
  made_known bigint;
begin
  with new_users as (
    insert into users (id)
    select user_id
    from pg_temp.import_users u
    where not exists (select from users where id = u.user_id)
    -- In the order of the ids, so that no two uploads wait for each other, and the index fills in order.
    order by user_id
    on conflict do nothing
    returning id
  ), enrolled as (
    insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
    select user_id, segment_id, p_at, 'enrollment', p_actor
    from (
      select u.id as user_id, s.id as segment_id, s.selection, random() as lot
      from new_users u
      cross join segments s
      where s.id = any(p_enrolling_ids)
        and s.enroll_new_users
        and s.deleted_at is null
    ) lots
    where lot < selection::double precision
    order by segment_id, user_id
  )
  select count(*) into made_known from new_users;

  return made_known;
end;
$$;

create or replace function delete_segment(p_slug text, p_actor text default null)
returns boolean
language plpgsql
as $$
begin
  perform pg_advisory_xact_lock(1, id) from segments where slug = p_slug;

  update segments
  set deleted_at = greatest(clock_timestamp(), created_at),
    deleted_by = p_actor
  where slug = p_slug
    and deleted_at is null;

  return found;
end;
$$;

create or replace function import_members(
  p_slug text,
  p_count_only boolean,
  p_skip boolean,
  p_shown integer,
  p_actor text,
  out added bigint,
  out new_users bigint,
  out late bigint,
  out late_lines bigint[],
  out late_expiries timestamptz[]
)
returns setof record
language plpgsql
as $$
declare
  target_id integer := (select id from segments where slug = p_slug and deleted_at is null);
  enrolling_ids integer[];
  changed_at timestamptz;
begin
  if not p_count_only then
    enrolling_ids := lock_for_import(target_id);
  end if;

  -- Nobody can delete it any more.
  perform from segments where id = target_id and deleted_at is null;
  if not found then
    return;
  end if;

  changed_at := next_moment(target_id);
  perform gather_import_users(changed_at);

  select count(*) into late from pg_temp.import_lines where expires_at <= changed_at;
  select array_agg(line order by line), array_agg(expires_at order by line)
  into late_lines, late_expiries
  from (select line, expires_at from pg_temp.import_lines where expires_at <= changed_at order by line limit p_shown) l;

  if p_count_only or (late > 0 and not p_skip) then
    select
      count(*) filter (where m.user_id is null),
      count(*) filter (where not exists (select from users where id = u.user_id))
    into added, new_users
    from pg_temp.import_users u
    left join memberships m on m.segment_id = target_id
      and m.user_id = u.user_id
      and m.removed_at is null
      and (m.expires_at is null or m.expires_at > changed_at);

    return next;
    return;
  end if;

  new_users := make_import_users_known(enrolling_ids, changed_at, p_actor);

  -- What has expired is still open, in the way of a new period; the end of what goes on is set anew.
  update memberships m
  set removed_at = case when m.expires_at <= changed_at then greatest(m.added_at, m.expires_at) end,
    expires_at = case when m.expires_at <= changed_at then m.expires_at else u.expires_at end
  from pg_temp.import_users u
  where m.segment_id = target_id
    and m.user_id = u.user_id
    and m.removed_at is null
    and (m.expires_at <= changed_at or m.expires_at is distinct from coalesce(u.expires_at, m.expires_at));

  insert into memberships (user_id, segment_id, added_at, expires_at, added_cause, added_by)
  select user_id, target_id, changed_at, expires_at, 'import', p_actor
  from pg_temp.import_users u
  where not exists (
    select from memberships m
    where m.segment_id = target_id
      and m.user_id = u.user_id
      and m.removed_at is null
  )
  order by user_id;
  get diagnostics added = row_count;

  perform except_import_users(target_id);
  return next;
end;
$$;

create or replace function gather_import_users(p_at timestamptz)
returns void
language plpgsql
as $$
begin
  analyze pg_temp.import_lines;

  create temporary table import_users on commit drop as
  select distinct on (user_id) user_id, expires_at
  from pg_temp.import_lines
  where expires_at is null
    or expires_at > p_at
  order by user_id, expires_at is null, line desc;

  analyze pg_temp.import_users;
end;
$$;
