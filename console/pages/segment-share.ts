import { h } from 'preact'
import { useState } from 'preact/hooks'
import type { Segment } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { FormDialog } from '../components/dialog.ts'
import { CheckField, TextField } from '../components/field.ts'
import { announce } from '../components/live-region.ts'
import { ErrorNotice, Notice } from '../components/notice.ts'
import { html } from '../html.ts'
import { formatCount, formatShare } from '../language.ts'
import { countShare, parsePercent, toPercent } from '../percent.ts'
import { useRequest } from '../requests.ts'
import { useSession } from '../session.ts'
import { t } from '../texts.ts'

/** What a share would do: how many of all users it is, and how many of them would join or leave. */
function describeEffect(segment: Segment, share: number, users: number): string {
  const before = countShare(segment.selection ?? 0, users)
  const after = countShare(share, users)
  const texts = t.share
  const target = texts.target(formatShare(share), formatCount(users), formatCount(after))
  if (after === before) return `${target} ${texts.same}`
  const difference = formatCount(Math.abs(after - before))
  return `${target} ${after > before ? texts.join(difference) : texts.leave(difference)}`
}

/** Changes the share, after saying what that would do. */
export function SegmentShare({
  segment,
  isFilling,
  onChange
}: {
  segment: Segment
  /** While it is being filled, its share can't be changed. */
  isFilling: boolean
  onChange: () => void
}) {
  const { slug, selection, enroll_new_users: enrolled } = segment
  const { client } = useSession()
  const [text, setText] = useState(toPercent(selection ?? 0))
  const [enrolls, setEnrolls] = useState(enrolled)
  const [isAsking, setAsking] = useState(false)
  const users = useRequest('users count', (options) => client.countUsers(options))
  const { group } = segment
  const free = useRequest(`free users ${group}`, async (options) =>
    group === null ? undefined : (await client.getGroup(group, options)).free_users
  )
  const share = parsePercent(text)
  const isChanged = share !== undefined && (share !== (selection ?? 0) || enrolls !== enrolled)
  const effect =
    share !== undefined && users.value !== undefined ? describeEffect(segment, share, users.value) : undefined
  const change = async () => {
    if (share === undefined) return
    const { added, removed } = await client.changeSegment(slug, {
      ...(share !== (selection ?? 0) && { selection: share }),
      ...(enrolls !== enrolled && { enroll_new_users: enrolls })
    })
    announce(t.share.done(formatCount(added), formatCount(removed)))
    setAsking(false)
    onChange()
  }
  const slide = (event: Event) => {
    if (event.target instanceof HTMLInputElement) setText(event.target.value)
  }
  return html`<div class="card stack share">
    <p class="hint">${t.share.intro}</p>
    <div class="share-controls">
      <input type="range" min="0" max="100" step="0.5" aria-label=${t.share.slider}
        value=${String((share ?? 0) * 100)} aria-valuetext=${formatShare(share ?? 0)} onInput=${slide} />
      ${h(TextField, {
        label: t.createSegment.share,
        value: text,
        onInput: setText,
        error: share === undefined ? t.createSegment.shareWrong : undefined
      })}
    </div>
    ${h(CheckField, { label: t.createSegment.enroll, isChecked: enrolls, onChange: setEnrolls })}
    ${users.error !== undefined && h(ErrorNotice, { error: users.error, onRetry: users.reload })}
    ${effect !== undefined && h(Notice, { kind: isChanged ? 'warning' : 'info', children: html`<p aria-live="polite">${effect}</p>` })}
    ${free.value !== undefined && html`<p class="hint">${t.share.free(formatCount(free.value))}</p>`}
    ${isFilling && html`<p class="hint">${t.share.waits}</p>`}
    <div>${h(Button, { kind: 'primary', isDisabled: !isChanged || isFilling, onClick: () => setAsking(true), children: t.share.change })}</div>
    ${
      isAsking &&
      h(FormDialog, {
        title: t.share.confirm(slug),
        action: t.share.change,
        run: change,
        onClose: () => setAsking(false),
        children: html`<p>${effect}</p>
          ${enrolls !== enrolled && html`<p>${enrolls ? t.share.willEnroll : t.share.wontEnroll}</p>`}`
      })
    }
  </div>`
}
