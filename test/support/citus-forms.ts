/**
 * Forms of SQL that Citus 13.2 refuses, or executes wrongly, on a distributed database. No statement of the service has
 * one.
 */
type Form = {
  name: string
  /** Finds the form in the text of a statement, in which runs of white space are one space. */
  pattern: RegExp
  /** A statement of this form. */
  example: string
  /** The message of Citus. */
  message: string
}

/** Tables that are distributed, and views that read them. */
const D = '(?:users|memberships|expiry_changes|assignment_exceptions|import_lines)'
const READ = `(?:${D}|(?:open_|ended_)?periods|period_starts|history)`
/** Tables that are local to the coordinator. */
const L =
  '(?:assignments|assignment_chunks|idempotency_keys|imports|reports|report_turns|segment_changes|changes|secrets|webhooks|pgmigrations)'
const VOLATILE = '(?:random|clock_timestamp|timeofday|gen_random_uuid|nextval)\\('
const STABLE = '(?:now|current_setting|statement_timestamp|transaction_timestamp)\\('
/** The rest of a clause: up to the next clause of the same statement. */
const CLAUSE = '(?:(?!\\b(?:where|from|returning)\\b).)*?'

const form = (name: string, pattern: string, example: string, message: string): Form => ({
  name,
  pattern: new RegExp(pattern, 'i'),
  example,
  message
})

export const refusedForms: Form[] = [
  form(
    'a trigger on a distributed table',
    `create (?:or replace )?(?:constraint )?trigger .* on ${D}`,
    'create trigger t before insert on memberships for each row execute function suppress_redundant_updates_trigger()',
    'triggers are not supported on distributed tables'
  ),
  form(
    'a volatile function in an update',
    `update (?:${D}|segments|exclusive_groups)\\b.* set ${CLAUSE}${VOLATILE}`,
    'update memberships set removed_at = clock_timestamp() where user_id = 1',
    'functions used in UPDATE queries on distributed tables must not be VOLATILE'
  ),
  form(
    'a sum of a time and an interval in an update',
    `update (?:${D}|segments|exclusive_groups)\\b.* set ${CLAUSE}_at [+-] `,
    "update memberships set expires_at = expires_at + interval '1 hour' where user_id = 1",
    'STABLE functions used in UPDATE queries cannot be called with column references'
  ),
  form(
    'a change of the column by which a table is distributed',
    `update (?:users .*set ${CLAUSE}\\bid =|(?!users)${D}\\b.* set ${CLAUSE}\\buser_id =)`,
    'update memberships set user_id = 2 where user_id = 1',
    'modifying the partition value of rows is not allowed'
  ),
  form(
    'a function that is not immutable in `do update`',
    `insert into ${D}\\b.* do update set ${CLAUSE}(?:${VOLATILE}|${STABLE})`,
    'insert into users (id) values (1) on conflict (id) do update set created_at = now()',
    'functions used in the DO UPDATE SET clause of INSERTs on distributed tables must be marked IMMUTABLE'
  ),
  form(
    'row locks of a distributed table',
    `\\b(?:from|join) ${READ}\\b.*\\bfor (?:no key )?(?:update|share)\\b`,
    'select id from users limit 1 for update skip locked',
    'could not run distributed query with FOR UPDATE/SHARE commands'
  ),
  form(
    'a subquery in `limit`',
    '\\blimit \\( ?select',
    'select id from users order by random() limit (select count(*) / 2 from users)',
    'subquery in LIMIT is not supported in multi-shard queries'
  ),
  form(
    'a subquery that is correlated with a function',
    `\\bfrom unnest\\(.*\\( ?select\\b.*\\b(?:from|join) ${READ}\\b`,
    'select id from unnest(array[1, 2]::bigint[]) as id where not exists (select from users where users.id = id.id)',
    'correlated subqueries are not supported when the FROM clause contains a set returning function'
  ),
  form(
    'a subquery in the list of a query on a function',
    `select [^;]*\\( ?select\\b[^;]*\\bfrom ${READ}\\b[^;]*\\) from unnest\\(`,
    'select id, (select count(*) from memberships where user_id = id.id) from unnest(array[1]::bigint[]) as id',
    'correlated subqueries are not supported when the FROM clause contains a set returning function'
  ),
  form(
    'a subquery on a distributed table that is correlated with a local table',
    `\\b(?:from|update) ${L}\\b.*\\b(?:exists|any|in|select|,) ?\\( ?select\\b[^()]*\\b(?:from|join) ${READ}\\b`,
    'select token from reports where exists (select from users where users.id = reports.user_id)',
    'direct joins between distributed and local tables are not supported'
  ),
  form(
    'a subquery on a local table that is correlated with a distributed table',
    `\\b(?:from|update) ${READ}\\b.*\\bexists ?\\( ?select\\b[^()]*\\b(?:from|join) ${L}\\b`,
    'select id from users where not exists (select from reports where reports.user_id = users.id)',
    'direct joins between distributed and local tables are not supported'
  ),
  form(
    'a join that is not by the user',
    `\\bjoin ${READ}\\b(?:(?!\\b(?:where|group|order|limit|join)\\b).)*?\\b(?:using|on)\\b(?!.*\\buser_id\\b)`,
    'select count(*) from memberships m join expiry_changes e on e.segment_id = m.segment_id',
    'the query contains a join that requires repartitioning'
  ),
  form(
    'a join of `periods` or `history` with a table that is not distributed',
    `\\b(?:from|join) (?:periods|history)\\b(?:(?!\\bunion\\b).)* join (?:segments|${L})\\b`,
    'select count(*) from periods p join segments s on s.id = p.segment_id',
    'complex joins are only supported when all distributed tables are co-located and joined on their distribution columns'
  ),
  form(
    'a subquery in `insert … values` or in its `returning`',
    `insert into (?:${D}|segments|exclusive_groups)\\b(?!.*\\bselect\\b.*\\b(?:values|returning)\\b).*\\b(?:values|returning)\\b.*\\( ?select\\b`,
    "insert into segments (slug) values ('X') returning (select count(*) from users)",
    'subqueries are not supported within INSERT queries'
  ),
  form(
    'a function that reads distributed tables, called for their rows',
    `(?<!function )\\b(?:next_moment|change_user_segments)\\(.*\\bfrom ${READ}\\b`,
    'select next_moment(segment_id) from memberships where user_id = 1',
    'cannot execute a distributed query from a query on a shard'
  ),
  form(
    '`merge`',
    `\\bmerge into ${D}\\b`,
    'merge into users using (values (1::bigint)) v (id) on users.id = v.id when not matched then insert (id) values (v.id)',
    'non-IMMUTABLE functions are not yet supported in MERGE sql with distributed tables'
  ),
  form(
    'grouping sets',
    `\\bfrom ${READ}\\b.*\\b(?:grouping sets|rollup|cube) ?\\(`,
    'select user_id, count(*) from memberships group by grouping sets ((user_id), ())',
    'could not run distributed query with GROUPING SETS, CUBE, or ROLLUP'
  ),
  form(
    'a recursive query',
    `\\bwith recursive\\b.*\\bfrom ${READ}\\b`,
    'with recursive r as (select id from users union select id + 1 from r where id < 0) select count(*) from r',
    'recursive CTEs are only supported when they contain a filter on the distribution column'
  ),
  form(
    'a foreign key to a local table',
    `(?:create table|alter table) ${D}\\b.*\\breferences ${L}\\b`,
    'alter table memberships add foreign key (segment_id) references assignments (segment_id)',
    'referenced table "assignments" must be a distributed table or a reference table'
  ),
  form(
    'a new column that is an identity',
    `alter table ${D} add (?:column )?.*\\bas identity\\b`,
    'alter table memberships add column n bigint generated always as identity',
    'cannot execute ADD COLUMN commands involving identity columns when metadata is synchronized to workers'
  ),
  form(
    'a new column of a serial type',
    `alter table ${D} add (?:column )?.*\\b(?:small|big)?serial\\b`,
    'alter table memberships add column n serial',
    'cannot execute ADD COLUMN commands involving serial pseudotypes when metadata is synchronized to workers'
  ),
  form(
    'a unique key without the user',
    `(?:create unique index \\w*(?: on)? ?${D} \\((?![^)]*user_id)|alter table ${D} add unique \\((?![^)]*user_id))`,
    'alter table memberships add unique (segment_id, added_at)',
    'cannot create constraint on "memberships"'
  )
]
