-- Up Migration

-- Counts a segment's members without a look at the table. Entries that are alike are kept together: 7 bytes each.
create index memberships_of_segment on memberships (segment_id, expires_at) where removed_at is null;

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

-- Down Migration

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
drop index memberships_of_segment;
