-- Adds a user to segments and removes the user from others, all or nothing. An unknown user becomes known.
--
-- Slugs are in upper case, and each appears once. The nth added membership expires at the nth time of p_expiries, or the
-- nth number of p_ttls seconds after it begins, or never. If the user is already in a segment to add, only the expiry
-- changes, and that is recorded in expiry_changes.
--
-- Returns null if the change took effect. Otherwise nothing has changed, and the result says why:
--
-- - `not_found`: a slug names no segment or a deleted one.
-- - `expiry_passed`: a time of p_expiries is not in the future.
-- - `holdout SLUG`: this segment to add is a holdout.
-- - `conflict SLUG OTHER GROUP`: the first segment is to be added, but the user is, or is to be, in another one of its
--   exclusive group. With p_move the user leaves such a segment at the same moment, unless it is to be added too.
--
-- A new user joins segments that enroll new users (see the view enrolling_segments), except those that the request names,
-- and those of an exclusive group that a segment to add is in. Imports do the same (src/imports/queries.ts).
--
-- Changes of many members lock all segments of an exclusive group. So the group of a segment to add cannot change while
-- this function holds the lock of that segment, and only another change of this user can add the user to the group.
--
-- This is a function because it is the most frequent write: its nine statements take several times as long in a
-- transaction of the service. The locks and their order are described in src/database/locks.ts. Each statement sees
-- what was committed before that statement began, so what a lock protects is read after the lock is taken. Segments
-- that are created after the locks are taken are ignored.
create or replace function change_user_segments(
  p_user_id bigint,
  p_add text[],
  p_delete text[],
  p_expiries timestamptz[] default null,
  p_ttls integer[] default null,
  p_actor text default null,
  p_move boolean default false
)
returns text
language plpgsql
as $$
declare
  is_new boolean := not exists (select from users where id = p_user_id);
  named_ids integer[];
  enrolling_ids integer[];
  add_ids integer[];
  add_places integer[];
  delete_ids integer[];
  grouped_ids integer[];
  group_ids integer[];
  group_segment_ids integer[];
  movable_ids integer[];
  left_ids integer[];
  last_deletion timestamptz;
  refusal text;
  filling_ids integer[];
  enrolled_ids integer[];
  open_ids integer[];
  open_expiries timestamptz[];
  has_renewals boolean;
  last_change timestamptz;
  changed_at timestamptz;
  expiries timestamptz[];
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

  -- The user may leave these.
  if p_move then
    select array_agg(id)
    into movable_ids
    from segments
    where group_id in (select group_id from segments where slug = any(p_add))
      and deleted_at is null;
  end if;

  perform pg_advisory_xact_lock_shared(1, id)
  from (select distinct id from unnest(named_ids || enrolling_ids || movable_ids) as id order by id) s;

  select
    array_agg(id) filter (where slug = any(p_add)),
    array_agg(array_position(p_add, slug)) filter (where slug = any(p_add)),
    array_agg(id) filter (where slug = any(p_delete)),
    array_agg(id) filter (where status in ('queued', 'running')),
    array_agg(id) filter (where group_id is not null and slug = any(p_add))
  into add_ids, add_places, delete_ids, filling_ids, grouped_ids
  from segments
  left join assignments on segment_id = id
  where id = any(named_ids)
    and deleted_at is null;

  if coalesce(cardinality(add_ids), 0) < cardinality(p_add)
    or coalesce(cardinality(delete_ids), 0) < cardinality(p_delete)
  then
    return 'not_found';
  end if;

  if grouped_ids is not null then
    select 'holdout ' || min(slug)
    into refusal
    from segments
    where id = any(grouped_ids)
      and is_holdout;

    if refusal is not null then
      return refusal;
    end if;

    group_ids := array(select group_id from segments where id = any(grouped_ids));

    select array_agg(id) filter (where deleted_at is null), max(deleted_at)
    into group_segment_ids, last_deletion
    from segments
    where group_id = any(group_ids);

    -- What follows refers to all segments of the groups: the order of times, and who is not enrolled.
    named_ids := named_ids || group_segment_ids;
  end if;

  perform pg_advisory_xact_lock(p_user_id);

  -- The time is read after the lock is taken. It is later than every earlier change of the user in these segments, even
  -- if the server's clock has gone back, for example after a failover to a server whose clock is behind.
  select
    max(greatest(added_at, removed_at)),
    bool_or(initial_expires_at is not null),
    array_agg(segment_id) filter (where removed_at is null),
    array_agg(expires_at) filter (where removed_at is null)
  into last_change, has_renewals, open_ids, open_expiries
  from memberships
  where user_id = p_user_id
    and segment_id = any(named_ids);

  if has_renewals then
    select greatest(last_change, max(set_at))
    into last_change
    from expiry_changes
    where user_id = p_user_id
      and segment_id = any(named_ids);
  end if;

  changed_at := greatest(clock_timestamp(), greatest(last_change, last_deletion) + interval '1 microsecond');
  if p_expiries is not null or p_ttls is not null then
    select array_agg(coalesce(p_expiries[place], changed_at + make_interval(secs => p_ttls[place])) order by position)
    into expiries
    from unnest(add_places) with ordinality as places (place, position);

    if changed_at >= any(expiries) then
      return 'expiry_passed';
    end if;
  end if;

  if grouped_ids is not null then
    left_ids := array(
      select segment_id
      from unnest(open_ids, open_expiries) as opened (segment_id, expires_at)
      where segment_id = any(group_segment_ids)
        and segment_id <> all(grouped_ids || delete_ids)
        and (opened.expires_at is null or opened.expires_at > changed_at)
    );

    select 'conflict ' || added.slug || ' ' || other.slug || ' ' || exclusive_groups.slug
    into refusal
    from segments added
    join segments other on other.group_id = added.group_id
      and other.id <> added.id
    join exclusive_groups on exclusive_groups.id = added.group_id
    where added.id = any(grouped_ids)
      and (other.id = any(grouped_ids) or (other.id = any(left_ids) and not p_move))
    order by added.id, other.id
    limit 1;

    if refusal is not null then
      return refusal;
    end if;

    -- A segment has joined the group before the locks were taken. The request is retried.
    if not left_ids <@ coalesce(movable_ids, '{}') then
      raise exception 'the segments of a group have changed' using errcode = 'serialization_failure';
    end if;

    delete_ids := delete_ids || left_ids;
  end if;

  insert into users (id, created_at) values (p_user_id, changed_at) on conflict do nothing;

  if found then
    -- A subquery would get other numbers each time that a nested loop reads it.
    with numbers as materialized (
      select draw, random() as number
      from enrolling_segments
      where segment_id = any(enrolling_ids)
      group by draw
    )
    select array_agg(segment_id)
    into enrolled_ids
    from numbers
    join enrolling_segments using (draw)
    where segment_id = any(enrolling_ids)
      and segment_id <> all(coalesce(named_ids, '{}'))
      and number >= lower
      and number < upper;

    if enrolled_ids is not null then
      insert into memberships (user_id, segment_id, added_at, added_cause, added_by)
      select p_user_id, unnest(enrolled_ids), changed_at, 'enrollment', p_actor;
    end if;
  elsif is_new and grouped_ids is not null then
    -- An import has made the user known meanwhile, and may have enrolled the user into the group. The request is retried.
    raise exception 'the user has become known meanwhile' using errcode = 'serialization_failure';
  end if;

  -- Records the expiries that the next statement sets. Most changes name no segment to add that the user is already in.
  if open_ids && add_ids then
    insert into expiry_changes (user_id, segment_id, set_at, expires_at, actor)
    select p_user_id, segment_id, changed_at, expiries[array_position(add_ids, segment_id)], p_actor
    from memberships
    where user_id = p_user_id
      and segment_id = any(add_ids)
      and removed_at is null
      and (expires_at is null or expires_at > changed_at)
      and expires_at is distinct from expiries[array_position(add_ids, segment_id)];
  end if;

  -- Ends the memberships to remove, and expired ones that are added again below. Sets the expiry of the others.
  update memberships
  set removed_at = case
      when segment_id = any(delete_ids) or expires_at <= changed_at
        then greatest(added_at, least(changed_at, expires_at))
    end,
    removed_by = case when segment_id = any(delete_ids) then p_actor end,
    expires_at = case
      when segment_id = any(delete_ids) or expires_at <= changed_at then expires_at
      else expiries[array_position(add_ids, segment_id)]
    end,
    initial_expires_at = case
      when segment_id = any(delete_ids) or expires_at <= changed_at then initial_expires_at
      else coalesce(initial_expires_at, expires_at, 'infinity')
    end
  where user_id = p_user_id
    and removed_at is null
    and (
      segment_id = any(delete_ids)
      or (
        segment_id = any(add_ids)
        and expires_at is distinct from expiries[array_position(add_ids, segment_id)]
      )
    );

  insert into memberships (user_id, segment_id, added_at, expires_at, added_by)
  select p_user_id, segment_id, changed_at, expires_at, p_actor
  from unnest(add_ids, expiries) as added (segment_id, expires_at)
  on conflict (user_id, segment_id) where removed_at is null do nothing;

  -- Nothing else changes these memberships while the locks are held, so what has changed follows from what was open.
  insert into changes (type, segment_id, changed_at, cause, actor, user_ids, expiries)
  select type, segment_id, changed_at, cause, p_actor, array[p_user_id], array[expires_at]
  from (
    select
      'membership_removed'::change_type as type,
      segment_id,
      'request'::change_cause as cause,
      null::timestamptz as expires_at
    from unnest(open_ids, open_expiries) as opened (segment_id, expires_at)
    where segment_id = any(delete_ids)
      and (opened.expires_at is null or opened.expires_at > changed_at)
    union all
    select 'membership_added', segment_id, 'enrollment', null
    from unnest(enrolled_ids) as segment_id
    union all
    select
      case when opened.segment_id is null then 'membership_added'::change_type else 'expiry_set' end,
      added.segment_id,
      'request',
      added.expires_at
    from unnest(add_ids, expiries) as added (segment_id, expires_at)
    left join unnest(open_ids, open_expiries) as opened (segment_id, expires_at)
      on opened.segment_id = added.segment_id
      and (opened.expires_at is null or opened.expires_at > changed_at)
    where opened.segment_id is null
      or opened.expires_at is distinct from added.expires_at
  ) changed
  order by type = 'membership_removed' desc, segment_id;

  if filling_ids is not null then
    insert into assignment_exceptions (segment_id, user_id)
    select unnest(filling_ids), p_user_id
    on conflict do nothing;
  end if;

  return null;
end;
$$;
