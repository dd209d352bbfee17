import { h } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Button } from '../components/button.ts'
import { TextField } from '../components/field.ts'
import { readSlug, SegmentField } from '../components/segment-field.ts'
import { html } from '../html.ts'
import { DAY_MS } from '../moments.ts'
import { changeQuery, useQuery } from '../router.ts'
import { t } from '../texts.ts'

const starts = ['now', 'day', 'week', 'start'] as const
type Start = (typeof starts)[number]

const daysAgo = { day: 1, week: 7 } as const

/** Where the feed begins: the service takes days of UTC. */
export function toCursor(start: Start): string {
  if (start === 'now' || start === 'start') return start
  return new Date(Date.now() - daysAgo[start] * DAY_MS).toISOString().slice(0, 10)
}

const userIdPattern = /^[1-9]\d{0,18}$/

/** What the address asks for. What can't be asked for is left out. */
export function useChangeFilter(): {
  start: Start
  segment: string | undefined
  userId: string | undefined
} {
  const [since] = useQuery('since', 'now')
  const [segment] = useQuery('segment')
  const [user] = useQuery('user')
  return {
    start: starts.find((name) => name === since) ?? 'now',
    segment: readSlug(segment),
    userId: userIdPattern.test(user) ? user : undefined
  }
}

/** Chooses what is shown: from when on, of which segment, of which user. */
export function ChangeFilter() {
  const { start, segment = '', userId = '' } = useChangeFilter()
  const [slugText, setSlugText] = useState(segment)
  const [userText, setUserText] = useState(userId)
  useEffect(() => {
    setSlugText(segment)
    setUserText(userId)
  }, [segment, userId])
  const isSlugWrong = slugText.trim() !== '' && readSlug(slugText) === undefined
  const isUserWrong = userText.trim() !== '' && !userIdPattern.test(userText.trim())
  const apply = (event: Event) => {
    event.preventDefault()
    if (isSlugWrong || isUserWrong) return
    changeQuery({ segment: readSlug(slugText), user: userText.trim() }, { replaces: false })
  }
  const clear = () => {
    setSlugText('')
    setUserText('')
    changeQuery({ segment: undefined, user: undefined }, { replaces: false })
  }
  return html`<div class="stack-small change-filter">
    <form class="filter-fields" onSubmit=${apply}>
      ${h(SegmentField, {
        label: t.segments.slug,
        value: slugText,
        onInput: setSlugText,
        error: isSlugWrong ? t.createSegment.slugWrong : undefined
      })}
      ${h(TextField, {
        label: t.changes.user,
        value: userText,
        onInput: setUserText,
        error: isUserWrong ? t.members.notAnId : undefined
      })}
      <div class="actions">
        ${h(Button, { type: 'submit', children: t.changes.filter })}
        ${(segment !== '' || userId !== '') && h(Button, { kind: 'quiet', onClick: clear, children: t.changes.clear })}
      </div>
    </form>
    <div class="chips" role="group" aria-label=${t.changes.since}>
      ${starts.map(
        (
          name
        ) => html`<button key=${name} type="button" class="chip" aria-pressed=${name === start ? 'true' : 'false'}
          onClick=${() => changeQuery({ since: name === 'now' ? undefined : name })}>${t.changes.starts[name]}</button>`
      )}
    </div>
    ${segment !== '' && html`<p class="hint">${t.changes.segmentNote}</p>`}
    ${userId !== '' && html`<p class="hint">${t.changes.userNote}</p>`}
  </div>`
}
