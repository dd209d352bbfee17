-- Returns the time at which a change of many members of a segment takes effect: p_from, but always later than the latest
-- removal from the segment and the latest change of an expiry in it, even if the server's clock has gone back. The caller
-- holds the segment's lock.
--
-- Both are read from an index. enable_sort = off makes the planner use it even if the statistics know of no removals in
-- the segment; otherwise it would sort all of them.
create or replace function next_moment(p_segment_id integer, p_from timestamptz default clock_timestamp())
returns timestamptz
language plpgsql
set enable_sort = off
as $$
declare
  last_removal timestamptz;
  last_expiry_change timestamptz;
begin
  select removed_at
  into last_removal
  from memberships
  where segment_id = p_segment_id
    and removed_at is not null
  order by removed_at desc
  limit 1;

  select set_at
  into last_expiry_change
  from expiry_changes
  where segment_id = p_segment_id
  order by set_at desc
  limit 1;

  return greatest(p_from, greatest(last_removal, last_expiry_change) + interval '1 microsecond');
end;
$$;
