import { h } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { GroupReport, Overlaps } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { TextField } from '../components/field.ts'
import { EmptyState, ErrorNotice, Notice, Skeleton } from '../components/notice.ts'
import { type Column, Table } from '../components/table.ts'
import { Count, Time } from '../components/values.ts'
import { html } from '../html.ts'
import { formatPart } from '../language.ts'
import { useRequest } from '../requests.ts'
import { linkToSegment, useQuery } from '../router.ts'
import { useSession } from '../session.ts'
import { isSlug } from '../slugs.ts'
import { t } from '../texts.ts'

type Pair = { first: string; second: string; users: number; ofFirst: string; ofSecond: string }

function listPairs({ segments, overlaps }: Overlaps): Pair[] {
  const members = new Map(segments.map(({ slug, members }) => [slug, members]))
  const describePart = (users: number, slug: string) => {
    const all = members.get(slug) ?? 0
    return all === 0 ? '–' : formatPart(users / all)
  }
  return overlaps.map(({ segments: [first = '', second = ''], users }) => ({
    first,
    second,
    users,
    ofFirst: describePart(users, first),
    ofSecond: describePart(users, second)
  }))
}

const link = (slug: string) => html`<a class="mono" href=${linkToSegment(slug)}>${slug}</a>`

const listColumns = (): Column<Pair>[] => [
  { title: t.groups.segment, width: '50%', cell: ({ first }) => link(first) },
  { title: t.groups.other, width: '50%', cell: ({ second }) => link(second) },
  { title: t.groups.both, isNumber: true, cell: ({ users }) => h(Count, { value: users }) },
  {
    title: t.groups.ofFirst,
    isNumber: true,
    from: 'narrow',
    cell: ({ ofFirst }) => html`<span class="number">${ofFirst}</span>`
  },
  {
    title: t.groups.ofSecond,
    isNumber: true,
    from: 'narrow',
    cell: ({ ofSecond }) => html`<span class="number">${ofSecond}</span>`
  }
]

const split = (text: string): string[] =>
  text
    .toUpperCase()
    .split(/[\s,;]+/)
    .filter(Boolean)

function ComparedPairs({ overlaps, isStale }: { overlaps: Overlaps; isStale: boolean }) {
  const pairs = listPairs(overlaps)
  const shared = pairs.filter(({ users }) => users > 0).length
  if (pairs.length === 0) return h(EmptyState, { title: t.groups.tooFew, hint: t.groups.compareHint })
  return html`
    ${
      shared === 0
        ? h(Notice, { kind: 'success', children: t.groups.exclusive })
        : h(Notice, { kind: 'warning', children: t.groups.shared(t.groups.pairs(shared)) })
    }
    ${h(Table<Pair>, { label: t.groups.overlapTable, columns: listColumns(), rows: pairs, keyOf: ({ first, second }) => `${first} ${second}`, isStale })}
    <p class="hint">${t.groups.asOf} ${h(Time, { value: overlaps.as_of, precision: 'second' })}</p>`
}

/** How many users each two segments share: those of the group, or any others. */
export function GroupOverlap({ group: { slug, segments } }: { group: GroupReport }) {
  const { client } = useSession()
  const [compared, setCompared] = useQuery('compare')
  const [text, setText] = useState(compared)
  useEffect(() => setText(compared), [compared])
  const chosen = split(compared).filter(isSlug)
  const isWrong = !split(text).every(isSlug)
  const { value, error, isStale, isLoading, reload } = useRequest(
    `overlap ${slug} ${chosen} ${segments.map(({ slug }) => slug)}`,
    (options) => client.getOverlaps(slug, { ...(chosen.length > 0 && { segments: chosen }), ...options })
  )
  const compare = (event: Event) => {
    event.preventDefault()
    if (!isWrong) setCompared(split(text).join(','))
  }
  return html`<div class="stack">
    <form class="compare" onSubmit=${compare}>
      <div class="grow">${h(TextField, {
        label: t.groups.compare,
        hint: t.groups.compareHint,
        error: isWrong ? t.groups.compareWrong : undefined,
        isOptional: true,
        isMono: true,
        value: text,
        onInput: setText
      })}</div>
      ${h(Button, { type: 'submit', isDisabled: isWrong, isBusy: isLoading, children: t.groups.compareAction })}
    </form>
    ${error !== undefined && h(ErrorNotice, { error, onRetry: reload })}
    ${value === undefined && error === undefined && h(Skeleton, { lines: 3 })}
    ${value !== undefined && h(ComparedPairs, { overlaps: value, isStale })}
  </div>`
}
