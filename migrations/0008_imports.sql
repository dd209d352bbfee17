-- Up Migration

-- An upload is gathered in a table of the session's own, and then takes effect by one call of a function below: in one
-- transaction, and as one moment of the segment. The table goes with its session, so that an upload that was broken
-- off leaves nothing.

-- Where an upload is gathered. The line is needed of those alone that have an expiry.
create function begin_import()
returns void
language sql
as $$
  create temporary table import_lines (user_id bigint not null, expires_at timestamptz, line bigint)
$$;

-- The users of an upload, each once, with the last expiry that was given for them; the lines whose expiry has passed
-- by p_at are left out.
create function gather_import_users(p_at timestamptz)
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

-- Makes those users known whom the service has never seen, and lets them join those of the segments p_enrolling_ids that
-- enroll new users. Answers how many there were. The caller holds the locks of these segments, shared.
create function make_import_users_known(p_enrolling_ids integer[], p_at timestamptz, p_actor text)
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

-- Locks a segment against all other changes of it, and where an upload has users who are not known, the other segments
-- that enroll new users against being changed as a whole. In the order of their ids, as everybody does: see
-- change_user_segments. Answers the latter: one that begins to enroll later is not locked, and not there for this upload.
create function lock_for_import(p_segment_id integer)
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

-- What a request decides stands: a segment that is being filled passes over the users of the upload.
create function except_import_users(p_segment_id integer)
returns void
language plpgsql
as $$
begin
  if exists (select from assignments where segment_id = p_segment_id and status in ('queued', 'running')) then
    insert into assignment_exceptions (segment_id, user_id)
    select p_segment_id, user_id
    from pg_temp.import_users
    on conflict do nothing;
  end if;
end;
$$;

-- Puts the users of an upload into a segment, as members from one moment on. Those who are in already stay as they are,
-- but for an expiry that was given for them, which is set anew. Where p_count_only, or an expiry has passed and p_skip is
-- not set, nothing is changed, and the answer is what would have been. Answers nothing where there is no such segment.
-- late: the lines whose expiry has passed; late_lines, late_expiries: the first p_shown of them.
create function import_members(
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

-- Takes the users of an upload out of a segment, at one moment. With p_count_only nothing is changed, and the answer is
-- how many would have been taken out. Answers null where there is no such segment.
create function import_removals(p_slug text, p_count_only boolean, p_actor text)
returns bigint
language plpgsql
as $$
declare
  target_id integer := (select id from segments where slug = p_slug and deleted_at is null);
  changed_at timestamptz;
  removed bigint;
begin
  if not p_count_only then
    perform pg_advisory_xact_lock(1, target_id);
  end if;

  perform from segments where id = target_id and deleted_at is null;
  if not found then
    return null;
  end if;

  changed_at := next_moment(target_id);
  perform gather_import_users(changed_at);

  if p_count_only then
    select count(*)
    into removed
    from pg_temp.import_users u
    join memberships m using (user_id)
    where m.segment_id = target_id
      and m.removed_at is null
      and (m.expires_at is null or m.expires_at > changed_at);

    return removed;
  end if;

  update memberships m
  set removed_at = greatest(m.added_at, changed_at),
    removed_by = p_actor
  from pg_temp.import_users u
  where m.segment_id = target_id
    and m.user_id = u.user_id
    and m.removed_at is null
    and (m.expires_at is null or m.expires_at > changed_at);
  get diagnostics removed = row_count;

  perform except_import_users(target_id);
  return removed;
end;
$$;

-- Makes the users of an upload known. With p_count_only nothing is changed, and the answer is how many would have been
-- made known.
create function import_users(p_count_only boolean, p_actor text)
returns bigint
language plpgsql
as $$
declare
  enrolling_ids integer[];
  changed_at timestamptz;
begin
  if not p_count_only then
    enrolling_ids := lock_for_import(null);
  end if;

  changed_at := clock_timestamp();
  perform gather_import_users(changed_at);

  if p_count_only then
    return (
      select count(*)
      from pg_temp.import_users u
      where not exists (select from users where id = u.user_id)
    );
  end if;

  return make_import_users_known(enrolling_ids, changed_at, p_actor);
end;
$$;

-- Down Migration

drop function import_users(boolean, text);
drop function import_removals(text, boolean, text);
drop function import_members(text, boolean, boolean, integer, text);
drop function except_import_users(integer);
drop function lock_for_import(integer);
drop function make_import_users_known(integer[], timestamptz, text);
drop function gather_import_users(timestamptz);
drop function begin_import();
