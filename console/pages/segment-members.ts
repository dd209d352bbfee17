import { h } from 'preact'
import type { Member } from '../../client/src/index.ts'
import { SearchField } from '../components/field.ts'
import { MomentPicker } from '../components/moment.ts'
import { EmptyState, ErrorNotice, Notice, Skeleton } from '../components/notice.ts'
import { type Column, Table } from '../components/table.ts'
import { formatTime, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { readMoment } from '../moments.ts'
import { useList, useRequest } from '../requests.ts'
import { linkToUser, useQuery } from '../router.ts'
import { useSession } from '../session.ts'
import { t } from '../texts.ts'

const PAGE_SIZE = 1_000

const userIdPattern = /^[1-9]\d{0,18}$/

const listColumns = (): Column<Member>[] => [
  {
    title: t.members.user,
    width: '100%',
    cell: ({ user_id }) => html`<a class="number" href=${linkToUser(user_id)}>${user_id}</a>`
  },
  { title: t.members.since, cell: ({ added_at }) => h(Time, { value: added_at }) },
  {
    title: t.members.until,
    from: 'narrow',
    cell: ({ expires_at }) =>
      expires_at === null ? html`<span class="faint">–</span>` : h(Time, { value: expires_at })
  }
]

/** Whether one user is in the segment now, and why. */
function FoundMember({ slug, userId }: { slug: string; userId: string }) {
  const { client } = useSession()
  const { value, error } = useRequest(`member ${slug} ${userId}`, (options) =>
    client.getMembership(slug, userId, options)
  )
  if (error !== undefined) return h(ErrorNotice, { error })
  if (!value) return h(Skeleton, { lines: 1 })
  const link = html`<a href=${linkToUser(userId)}>${t.members.toUser(userId)}</a>`
  if (!value.member || value.added_at === undefined || value.cause === undefined) {
    return h(Notice, {
      kind: 'warning',
      children: html`<span class="grow">${t.members.isNot(userId, slug)}</span>${link}`
    })
  }
  const cause = t.causes[value.cause]
  return h(Notice, {
    kind: 'success',
    children: html`<span class="grow">${t.members.is(userId, slug, formatTime(value.added_at), cause, value.actor ?? t.common.noKeyName)}</span>${link}`
  })
}

/** The members: now or at a moment of the past, and one of them by id. */
export function SegmentMembers({ slug }: { slug: string }) {
  const { client } = useSession()
  const [search, setSearch] = useQuery('user')
  const [at, setAt] = useQuery('at')
  const moment = readMoment(at) ? at : ''
  const { rows, error, isLoading, isStale, isComplete, loadMore, reload } = useList(
    `members ${slug} ${moment}`,
    (options) =>
      client.listSegmentUsers(slug, { limit: PAGE_SIZE, ...(moment !== '' && { at: moment }), ...options }),
    ({ users }) => users
  )
  const userId = search.trim()
  return html`<div class="stack">
    <div class="toolbar">
      ${h(SearchField, { label: t.members.search, value: search, onInput: setSearch })}
      ${rows !== undefined && html`<span class="faint number">${t.lists.results(rows.length, isComplete)}</span>`}
    </div>
    ${userId !== '' && (userIdPattern.test(userId) ? h(FoundMember, { slug, userId }) : h(Notice, { kind: 'warning', children: t.members.notAnId }))}
    ${h(MomentPicker, { label: t.members.at, value: moment, onChange: setAt })}
    ${error !== undefined && h(ErrorNotice, { error, onRetry: reload })}
    ${rows === undefined && error === undefined && h(Skeleton, { lines: 5 })}
    ${rows !== undefined && rows.length > 0 && h(Table<Member>, { label: t.segments.members, columns: listColumns(), rows, keyOf: ({ user_id }) => user_id, onEnd: loadMore, isStale })}
    ${rows?.length === 0 && !isLoading && h(EmptyState, { title: t.members.none, hint: moment === '' ? t.members.noneHint : t.members.noneThen })}
  </div>`
}
