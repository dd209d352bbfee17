-- Up Migration

-- Counts a segment's members without a look at the table, and lists them, however many there have been. It has the user,
-- or the planner would take it for joins by segment and user while the statistics don't know the segment, and go over all
-- of its members for each user.
create index memberships_of_segment on memberships (segment_id, user_id) include (expires_at)
  where removed_at is null;

create index memberships_removed on memberships (segment_id, removed_at) where removed_at is not null;

-- When somebody was last taken out of the segment. Found by the index, whatever the statistics say: where they don't know
-- that anybody was, all who were would be sorted.
create function last_removal(p_segment_id integer)
returns timestamptz
stable
language sql
set enable_sort = off
return (
  select removed_at
  from memberships
  where segment_id = p_segment_id
    and removed_at is not null
  order by removed_at desc
  limit 1
);

-- As before.
create or replace function next_moment(p_segment_id integer)
returns timestamptz
language sql
return greatest(clock_timestamp(), last_removal(p_segment_id) + interval '1 microsecond');

-- The periods that no one has removed: by themselves they can be read in the order of an index, a page at a time, which
-- the planner can't do with the two halves together.
create view open_periods as
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
where m.removed_at is null;

-- As before. The two views are the one place that says what is active and when a period ended.
create or replace view periods as
select
  user_id, segment_id, slug, added_at, ended_at, active, expires_at, added_cause, added_by, ended_cause, ended_by
from open_periods
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

-- As before, but no period is left open.
create or replace function close_periods(p_segment_id integer, p_user_id bigint, p_limit integer)
returns table (segment_id integer, user_id bigint)
language plpgsql
as $$
#variable_conflict use_column
declare
  current segments;
  last_user bigint;
begin
  if not pg_try_advisory_xact_lock(2, 0) then
    return;
  end if;

  select s.*
  into current
  from segments s
  where deleted_at is not null
    and closed_at is null
  order by id
  limit 1;

  if not found then
    return;
  end if;

  -- Not waited for: what a crash takes back is done again, and nobody can tell.
  perform set_config('synchronous_commit', 'off', true);

  with next as (
    select user_id, added_at
    from memberships
    where segment_id = current.id
      and removed_at is null
      and user_id > case when current.id = p_segment_id then p_user_id else 0 end
    order by user_id
    limit p_limit
  ),
  closed as (
    update memberships m
    set removed_at = greatest(m.added_at, least(m.expires_at, current.deleted_at))
    from next
    where m.segment_id = current.id
      and m.user_id = next.user_id
      and m.added_at = next.added_at
      and m.removed_at is null
  )
  select max(user_id)
  into last_user
  from next;

  if last_user is null then
    -- What a crash has taken back since is behind: it begins anew.
    update segments
    set closed_at = clock_timestamp()
    where id = current.id
      and not exists (select from memberships where segment_id = current.id and removed_at is null);
    last_user := 0;
  end if;

  return query select current.id, last_user;
end;
$$;

-- Down Migration

create or replace function close_periods(p_segment_id integer, p_user_id bigint, p_limit integer)
returns table (segment_id integer, user_id bigint)
language plpgsql
as $$
#variable_conflict use_column
declare
  current segments;
  last_user bigint;
begin
  if not pg_try_advisory_xact_lock(2, 0) then
    return;
  end if;

  select s.*
  into current
  from segments s
  where deleted_at is not null
    and closed_at is null
  order by id
  limit 1;

  if not found then
    return;
  end if;

  -- Not waited for: what a crash takes back is done again, and nobody can tell.
  perform set_config('synchronous_commit', 'off', true);

  with next as (
    select user_id, added_at
    from memberships
    where segment_id = current.id
      and removed_at is null
      and user_id > case when current.id = p_segment_id then p_user_id else 0 end
    order by user_id
    limit p_limit
  ),
  closed as (
    update memberships m
    set removed_at = greatest(m.added_at, least(m.expires_at, current.deleted_at))
    from next
    where m.segment_id = current.id
      and m.user_id = next.user_id
      and m.added_at = next.added_at
      and m.removed_at is null
  )
  select max(user_id)
  into last_user
  from next;

  if last_user is null then
    update segments set closed_at = clock_timestamp() where id = current.id;
    last_user := 0;
  end if;

  return query select current.id, last_user;
end;
$$;

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

drop view open_periods;
create or replace function next_moment(p_segment_id integer)
returns timestamptz
language sql
return (
  select greatest(clock_timestamp(), max(removed_at) + interval '1 microsecond')
  from memberships
  where segment_id = p_segment_id
    and removed_at is not null
);

drop function last_removal(integer);
drop index memberships_removed;
drop index memberships_of_segment;
