-- Up Migration

-- Why a period began or ended, for support and analysts. What an ending follows from is seen by its time (see the view
-- `periods`), and most additions are requests, so that most rows hold none of it: null stands for `request`, and for
-- `selection` where the user was put in together with the segment's creation.
create type change_cause as enum (
  'request', 'selection', 'enrollment', 'import', 'expiry', 'segment_deleted', 'selection_lowered'
);

alter table memberships
  add column added_cause change_cause check (added_cause in ('request', 'selection', 'enrollment', 'import')),
  add column added_by text,
  add column removed_cause change_cause check (removed_cause in ('request', 'selection_lowered')),
  add column removed_by text;

alter table segments
  add column description text,
  add column enroll_new_users boolean not null default false check (not enroll_new_users or selection is not null),
  add column created_by text,
  add column deleted_by text;

comment on column memberships.added_by is 'The name of the API key; null where none was needed.';
comment on column segments.enroll_new_users is
  'Whether a user who is first seen later joins with the probability `selection`.';

create index segments_enrolling on segments (id) where enroll_new_users and deleted_at is null;

create function cause_of_addition(
  added_cause change_cause, added_at timestamptz, segment_created_at timestamptz, selection numeric
)
returns change_cause
immutable
language sql
return coalesce(
  added_cause,
  case when added_at = segment_created_at and selection is not null then 'selection'::change_cause else 'request' end
);

-- What comes first ends a period. removed_at repeats the expiry or the deletion where it was written afterwards.
create function cause_of_ending(
  removed_cause change_cause, removed_at timestamptz, expires_at timestamptz, segment_deleted_at timestamptz
)
returns change_cause
immutable
language sql
return case least(removed_at, expires_at, segment_deleted_at)
  when expires_at then 'expiry'::change_cause
  when segment_deleted_at then 'segment_deleted'
  when removed_at then coalesce(removed_cause, 'request')
end;

-- As before, with causes and actors.
create or replace view periods as
select
  m.user_id,
  m.segment_id,
  s.slug,
  m.added_at,
  case
    when coalesce(m.expires_at, s.deleted_at) is not null
      then greatest(m.added_at, least(m.expires_at, s.deleted_at))
  end as ended_at,
  (s.deleted_at is null and (m.expires_at is null or m.expires_at > now())) as active,
  m.expires_at,
  cause_of_addition(m.added_cause, m.added_at, s.created_at, s.selection) as added_cause,
  case
    when m.added_cause is null and m.added_at = s.created_at then s.created_by
    else m.added_by
  end as added_by,
  cause_of_ending(null, null, m.expires_at, s.deleted_at) as ended_cause,
  case cause_of_ending(null, null, m.expires_at, s.deleted_at)
    when 'segment_deleted' then s.deleted_by
  end as ended_by
from memberships m
join segments s on s.id = m.segment_id
where m.removed_at is null
union all
select
  m.user_id,
  m.segment_id,
  s.slug,
  m.added_at,
  greatest(m.added_at, least(m.removed_at, m.expires_at, s.deleted_at)),
  false,
  m.expires_at,
  cause_of_addition(m.added_cause, m.added_at, s.created_at, s.selection),
  case
    when m.added_cause is null and m.added_at = s.created_at then s.created_by
    else m.added_by
  end,
  cause_of_ending(m.removed_cause, m.removed_at, m.expires_at, s.deleted_at),
  case cause_of_ending(m.removed_cause, m.removed_at, m.expires_at, s.deleted_at)
    when 'segment_deleted' then s.deleted_by
    when 'expiry' then null
    else m.removed_by
  end
from memberships m
join segments s on s.id = m.segment_id
where m.removed_at is not null;

-- As before, with causes and actors. expires_at is when a membership that began here is to end by itself.
create or replace view history as
select
  user_id,
  segment_id,
  slug,
  'add' as operation,
  added_at as happened_at,
  1 as rank,
  added_cause as cause,
  added_by as actor,
  expires_at
from periods
union all
select
  user_id,
  segment_id,
  slug,
  'delete',
  ended_at,
  case when ended_at > added_at then 0 else 2 end,
  ended_cause,
  ended_by,
  null
from periods
where not active;

drop function change_user_segments(bigint, text[], text[]);

-- Makes the user known and changes the user's segments. Slugs are in upper case and each stands once. Additions end at
-- p_expires_at, or p_ttl seconds after they begin, or never; where the user is in already, the end is set anew.
-- Answers false where a slug names no segment or a deleted one, and null where p_expires_at is not to come: then
-- nothing has changed.
--
-- A user who is seen for the first time joins each segment that enrolls new users with the probability of its selection,
-- here and nowhere else, unless the request itself names the segment.
--
-- A function, because each of its statements sees what was committed before it began: with the locks, two calls for one
-- user take effect one after the other, a segment's deletion waits for the changes in it that are under way, and these
-- wait for whatever goes over all of its members. Segments are locked before the user, in the order of their ids, so no
-- two calls can wait for each other. One that was created since is not locked, and not there for this call. Lock spaces:
-- (1, segment id) and (user id).
create function change_user_segments(
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

drop function create_segment(text, numeric, boolean);

-- Creates a segment, with a share of the users in it (null: with none). They are in it when this is committed,
-- or are put in later, by continue_assignment. Answers false where the slug is taken, by a deleted segment too.
create function create_segment(
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

-- As before, with the cause.
create or replace function fill_assignment_chunk(p_segment_id integer)
returns integer
language plpgsql
as $$
declare
  chosen bigint[];
begin
  delete from assignment_chunks
  where segment_id = p_segment_id
    and chunk = (select min(chunk) from assignment_chunks where segment_id = p_segment_id)
  returning user_ids into chosen;

  insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
  select u.id, s.id, clock_timestamp(), 'selection', s.created_by
  from unnest(chosen) as u (id)
  join segments s on s.id = p_segment_id
  where not exists (
    select from assignment_exceptions e
    where e.segment_id = p_segment_id
      and e.user_id = u.id
  )
  on conflict (user_id, segment_id) where removed_at is null do nothing;

  return cardinality(chosen);
end;
$$;

drop function delete_segment(text);

-- Answers false where there is no such segment, or it is deleted already.
create function delete_segment(p_slug text, p_actor text default null)
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

-- When a change of many of a segment's members takes effect: now, and after all that has happened in it. The caller
-- holds the segment's lock.
create function next_moment(p_segment_id integer)
returns timestamptz
language sql
return (
  select greatest(clock_timestamp(), max(removed_at) + interval '1 microsecond')
  from memberships
  where segment_id = p_segment_id
    and removed_at is not null
);

-- Puts random users in who are not members and whom no request has ever taken out, p_count of them or as many as there
-- are. Answers how many. The caller holds the segment's lock.
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

-- Takes p_count random members out who were put in by chance. Answers how many. The caller holds the segment's lock.
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

-- Changes what is not null; p_description with '' takes the description away. A selection takes effect at once: of the
-- members who were put in by chance there are exactly ceil(p_selection × number of users) then, unless there are too few
-- users to add. The outcome is `changed`, or with nothing changed `not_found` (also where it is deleted), `filling`
-- (users are still being put in), or `no_selection` (which enrolling needs).
create function change_segment(
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

-- Down Migration

drop function change_segment(text, numeric, text, boolean, text);
drop function remove_random_members(integer, bigint, text);
drop function add_random_members(integer, bigint, text);
drop function next_moment(integer);
drop view history;
drop view periods;
drop function cause_of_ending(change_cause, timestamptz, timestamptz, timestamptz);
drop function cause_of_addition(change_cause, timestamptz, timestamptz, numeric);
drop function delete_segment(text, text);
drop function create_segment(text, numeric, boolean, text, boolean, text);
drop function change_user_segments(bigint, text[], text[], timestamptz, integer, text);
drop function fill_assignment_chunk(integer);
drop index segments_enrolling;
alter table segments
  drop column description, drop column enroll_new_users, drop column created_by, drop column deleted_by;
alter table memberships
  drop column added_cause, drop column added_by, drop column removed_cause, drop column removed_by;
drop type change_cause;

create view periods as
select
  m.user_id,
  m.segment_id,
  s.slug,
  m.added_at,
  case
    when coalesce(m.expires_at, s.deleted_at) is not null
      then greatest(m.added_at, least(m.expires_at, s.deleted_at))
  end as ended_at,
  (s.deleted_at is null and (m.expires_at is null or m.expires_at > now())) as active
from memberships m
join segments s on s.id = m.segment_id
where m.removed_at is null
union all
select
  m.user_id,
  m.segment_id,
  s.slug,
  m.added_at,
  greatest(m.added_at, least(m.removed_at, m.expires_at, s.deleted_at)),
  false
from memberships m
join segments s on s.id = m.segment_id
where m.removed_at is not null;

create view history as
select user_id, segment_id, slug, 'add' as operation, added_at as happened_at, 1 as rank
from periods
union all
select user_id, segment_id, slug, 'delete', ended_at, case when ended_at > added_at then 0 else 2 end
from periods
where not active;

create function delete_segment(p_slug text)
returns boolean
language plpgsql
as $$
begin
  perform pg_advisory_xact_lock(1, id) from segments where slug = p_slug;

  update segments
  set deleted_at = greatest(clock_timestamp(), created_at)
  where slug = p_slug
    and deleted_at is null;

  return found;
end;
$$;

create function create_segment(p_slug text, p_selection numeric, p_later boolean)
returns boolean
language plpgsql
as $$
declare
  new_id integer;
  drawn bigint[];
begin
  insert into segments (slug, selection)
  values (p_slug, p_selection)
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

create function change_user_segments(p_user_id bigint, p_add text[], p_delete text[])
returns boolean
language plpgsql
as $$
declare
  add_ids integer[];
  delete_ids integer[];
  filling_ids integer[];
  changed_at timestamptz;
begin
  perform pg_advisory_xact_lock_shared(1, id)
  from (
    select id
    from segments
    where slug = any(p_add)
      or (
        slug = any(p_delete)
        and exists (select from assignments where segment_id = id and status in ('queued', 'running'))
      )
    order by id
  ) s;

  select
    array_agg(id) filter (where slug = any(p_add)),
    array_agg(id) filter (where slug = any(p_delete)),
    array_agg(id) filter (
      where exists (select from assignments where segment_id = id and status in ('queued', 'running'))
    )
  into add_ids, delete_ids, filling_ids
  from segments
  where slug = any(p_add || p_delete)
    and deleted_at is null;

  if coalesce(cardinality(add_ids), 0) < cardinality(p_add)
    or coalesce(cardinality(delete_ids), 0) < cardinality(p_delete)
  then
    return false;
  end if;

  perform pg_advisory_xact_lock(p_user_id);

  insert into users (id) values (p_user_id) on conflict do nothing;

  -- The clock is read under the lock, and never runs backwards for a user and a segment, even when it does
  -- for the server (a failover to one whose clock is behind).
  select greatest(clock_timestamp(), max(removed_at) + interval '1 microsecond')
  into changed_at
  from memberships
  where user_id = p_user_id
    and segment_id = any(add_ids);

  update memberships
  set removed_at = greatest(added_at, least(changed_at, expires_at))
  where user_id = p_user_id
    and removed_at is null
    and (segment_id = any(delete_ids) or (segment_id = any(add_ids) and expires_at <= changed_at));

  insert into memberships (user_id, segment_id, added_at)
  select p_user_id, unnest(add_ids), changed_at
  on conflict (user_id, segment_id) where removed_at is null do nothing;

  if filling_ids is not null then
    insert into assignment_exceptions (segment_id, user_id)
    select unnest(filling_ids), p_user_id
    on conflict do nothing;
  end if;

  return true;
end;
$$;

create function fill_assignment_chunk(p_segment_id integer)
returns integer
language plpgsql
as $$
declare
  chosen bigint[];
begin
  delete from assignment_chunks
  where segment_id = p_segment_id
    and chunk = (select min(chunk) from assignment_chunks where segment_id = p_segment_id)
  returning user_ids into chosen;

  insert into memberships (user_id, segment_id, added_at)
  select id, p_segment_id, clock_timestamp()
  from unnest(chosen) as id
  where not exists (
    select from assignment_exceptions e
    where e.segment_id = p_segment_id
      and e.user_id = id
  )
  on conflict (user_id, segment_id) where removed_at is null do nothing;

  return cardinality(chosen);
end;
$$;
