-- Up Migration

drop view history;
drop view periods;

-- The key begins with the segment, so that filling a new one adds to the key's end instead of touching a page
-- of it for each user, and so that a segment's members can be found. What has ended has an index of its own.
alter table memberships drop constraint memberships_pkey;
alter table memberships add primary key (segment_id, user_id, added_at);
-- What reads need of a segment, without a look at the table.
create index segments_live on segments (id) include (slug) where deleted_at is null;
create index memberships_ended on memberships (user_id) where removed_at is not null;

-- Reads need no look at the table while its pages are marked as visible to all, and the change of one row
-- unmarks the 130 others of its page: where 1 % of the rows have changed, a read costs 1.6 times as much. By
-- default autovacuum waits for 20 %.
alter table memberships set (
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_insert_scale_factor = 0.01
);

-- In a sample of a big table each user stands once, from which PostgreSQL concludes that each has one period and
-- looks up the segment of each period by itself: 1.6 times the cost of a read. Ten are taken for the rule; the
-- plan is the right one for three to a thousand.
alter table memberships alter column user_id set (n_distinct = -0.1);

alter table segments add column closed_at timestamptz;

comment on column segments.closed_at is
  'When removed_at had been written into the last period of a deleted segment. No answer depends on it.';

-- As before, in two halves that each have their index. It is the one place that says what is active and when a
-- period ended: at the earliest of its removal, its expiry and its segment's deletion.
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

-- As before.
create view history as
select user_id, segment_id, slug, 'add' as operation, added_at as happened_at, 1 as rank
from periods
union all
select user_id, segment_id, slug, 'delete', ended_at, case when ended_at > added_at then 0 else 2 end
from periods
where ended_at <= now();

-- As before, by the two indexes.
create or replace function refuse_delete()
returns trigger
language plpgsql
as $$
begin
  if tg_table_name = 'users' then
    perform pg_advisory_xact_lock(old.id);
    if not exists (select from memberships where user_id = old.id and removed_at is null)
      and not exists (select from memberships where user_id = old.id and removed_at is not null)
    then
      return old;
    end if;
  end if;
  raise exception 'a row of % is never deleted while memberships may name it', tg_table_name
    using errcode = 'restrict_violation';
end;
$$;

create table assignments (
  segment_id integer primary key,
  requested_at timestamptz not null default now(),
  status text not null default 'queued' check (status in ('queued', 'running', 'done', 'cancelled')),
  target bigint check (target is not null or status in ('queued', 'cancelled')),
  assigned bigint not null default 0 check (assigned <= target and (assigned = target or status <> 'done'))
);

comment on table assignments is
  'The filling of a segment with a random share of the users. target is null until they have been drawn.';

create index assignments_unfinished on assignments (requested_at) where status in ('queued', 'running');

create table assignment_chunks (
  segment_id integer not null,
  chunk integer not null,
  user_ids bigint[] not null,
  primary key (segment_id, chunk)
);

comment on table assignment_chunks is 'The users who have been drawn and are not in the segment yet.';

create table assignment_exceptions (
  segment_id integer not null,
  user_id bigint not null,
  primary key (segment_id, user_id)
);

comment on table assignment_exceptions is
  'Users who were put into the segment or taken out of it by request while it was being filled: that stands.';

insert into assignments (segment_id, requested_at, status, target, assigned)
select s.id, s.created_at, 'done', m.assigned, m.assigned
from segments s
cross join lateral (
  select count(*) as assigned
  from memberships
  where segment_id = s.id
    and added_at = s.created_at
) m
where s.selection is not null;

-- Draws exactly ceil(selection × number of users) of the users who were known at a time, in decimal arithmetic.
-- Answers their ids in order, so that the indexes fill in order. An array holds 134 million.
--
-- Who is drawn is decided by `order by random() limit target`. Sorting all users for that would take most of
-- the time, so those go first whose number is too high to be among the lowest `target`: eight standard
-- deviations above what is expected, so that too few stay once in more than 10^15 draws. Then nothing is changed.
create function draw_users(p_selection numeric, p_known_at timestamptz)
returns bigint[]
language plpgsql
set work_mem = '64MB'
as $$
declare
  target bigint;
  drawn bigint[];
begin
  with population as (
    select count(*) as size, ceil(p_selection * count(*)) as goal
    from users
    where created_at <= p_known_at
  ),
  lowest as (
    select id
    from (select id, random() as number from users where created_at <= p_known_at) numbered
    where number < (select (goal + 8 * sqrt(goal) + 40) / nullif(size, 0) from population)::double precision
    order by number
    limit (select goal from population)
  )
  select (select goal from population), coalesce((select array_agg(id order by id) from lowest), '{}')
  into target, drawn;

  if cardinality(drawn) <> target then
    raise exception 'of % users % were drawn', target, cardinality(drawn);
  end if;

  return drawn;
end;
$$;

-- Puts the users of the next chunk into the segment, but for those whose membership was changed by request.
-- Answers their number; null where no chunk is left.
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

-- Creates a segment, with a share of the users in it (null: with none). They are in it when this is committed,
-- or are put in later, by continue_assignment. Answers false where the slug is taken, by a deleted segment too.
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

-- As before, and what a request decides of a segment that is being filled stands: it is noted as an exception.
-- So that none is missed, such a request and the filling wait for each other by the segment's lock.
create or replace function change_user_segments(p_user_id bigint, p_add text[], p_delete text[])
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

-- Writes their end into the next periods of deleted segments that have none yet, at most p_limit of them: those
-- of users after p_user_id where p_segment_id is still the segment in hand. What is answered stays the same.
-- Answers how far it has come; nothing where there is nothing to do or somebody else is doing it.
-- Lock space: (2, 0).
create function close_periods(p_segment_id integer, p_user_id bigint, p_limit integer)
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

-- Down Migration

-- What was still to be filled is given up; the down migration must not be run while the service is.
drop function close_periods(integer, bigint, integer);
drop function continue_assignment(integer);
drop function create_segment(text, numeric, boolean);
drop function fill_assignment_chunk(integer);
drop function draw_users(numeric, timestamptz);

create or replace function change_user_segments(p_user_id bigint, p_add text[], p_delete text[])
returns boolean
language plpgsql
as $$
declare
  add_ids integer[];
  delete_ids integer[];
  changed_at timestamptz;
begin
  perform pg_advisory_xact_lock_shared(1, id)
  from (select id from segments where slug = any(p_add) order by id) s;

  select array_agg(id) filter (where slug = any(p_add)), array_agg(id) filter (where slug = any(p_delete))
  into add_ids, delete_ids
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

  return true;
end;
$$;

drop table assignment_exceptions;
drop table assignment_chunks;
drop table assignments;

drop view history;
drop view periods;

create or replace function refuse_delete()
returns trigger
language plpgsql
as $$
begin
  if tg_table_name = 'users' then
    perform pg_advisory_xact_lock(old.id);
    if not exists (select from memberships where user_id = old.id) then
      return old;
    end if;
  end if;
  raise exception 'a row of % is never deleted while memberships may name it', tg_table_name
    using errcode = 'restrict_violation';
end;
$$;

alter table segments drop column closed_at;
alter table memberships alter column user_id reset (n_distinct);
alter table memberships reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor);
drop index memberships_ended;
drop index segments_live;
alter table memberships drop constraint memberships_pkey;
alter table memberships add primary key (user_id, segment_id, added_at);

create view periods as
select
  m.user_id,
  m.segment_id,
  s.slug,
  m.added_at,
  case
    when coalesce(m.removed_at, m.expires_at, s.deleted_at) is not null
      then greatest(m.added_at, least(m.removed_at, m.expires_at, s.deleted_at))
  end as ended_at,
  (m.removed_at is null and s.deleted_at is null and (m.expires_at is null or m.expires_at > now())) as active
from memberships m
join segments s on s.id = m.segment_id;

create view history as
select user_id, segment_id, slug, 'add' as operation, added_at as happened_at, 1 as rank
from periods
union all
select user_id, segment_id, slug, 'delete', ended_at, case when ended_at > added_at then 0 else 2 end
from periods
where ended_at <= now();
