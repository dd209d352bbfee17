-- Up Migration

-- As before, but what a period's end is compared with. now() is when the reader's transaction began, which is before its
-- snapshot was taken: of a change that was committed in between, a report showed who was added and not who was
-- removed by the same call. What has been removed or deleted has ended, by whatever clock.
create or replace view history as
select user_id, segment_id, slug, 'add' as operation, added_at as happened_at, 1 as rank
from periods
union all
select user_id, segment_id, slug, 'delete', ended_at, case when ended_at > added_at then 0 else 2 end
from periods
where not active;

-- Down Migration

create or replace view history as
select user_id, segment_id, slug, 'add' as operation, added_at as happened_at, 1 as rank
from periods
union all
select user_id, segment_id, slug, 'delete', ended_at, case when ended_at > added_at then 0 else 2 end
from periods
where ended_at <= now();
