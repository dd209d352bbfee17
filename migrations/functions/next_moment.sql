-- Returns the time at which a change of many members of a segment takes effect: p_from, but always later than the latest
-- removal from the segment, even if the server's clock has gone back. The caller holds the segment's lock.
--
-- The latest removal is read from the index memberships_removed. enable_sort = off makes the planner use that index
-- even if the statistics know of no removals in the segment; otherwise it would sort all of them.
create or replace function next_moment(p_segment_id integer, p_from timestamptz default clock_timestamp())
returns timestamptz
language plpgsql
set enable_sort = off
as $$
declare
  last_removal timestamptz;
begin
  select removed_at
  into last_removal
  from memberships
  where segment_id = p_segment_id
    and removed_at is not null
  order by removed_at desc
  limit 1;

  return greatest(p_from, last_removal + interval '1 microsecond');
end;
$$;
