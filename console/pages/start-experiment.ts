import { h } from 'preact'
import { useState } from 'preact/hooks'
import type { GroupReport } from '../../client/src/index.ts'
import { FormDialog } from '../components/dialog.ts'
import { CheckField, TextField } from '../components/field.ts'
import { announce } from '../components/live-region.ts'
import { ErrorNotice, Notice } from '../components/notice.ts'
import { html } from '../html.ts'
import { formatCount, formatShare } from '../language.ts'
import { countShare, parsePercent } from '../percent.ts'
import { useRequest } from '../requests.ts'
import { linkToGroup, navigate } from '../router.ts'
import { useSession } from '../session.ts'
import { isSlug } from '../slugs.ts'
import { t } from '../texts.ts'

const partNames = ['treatment', 'control', 'holdout'] as const
type PartName = (typeof partNames)[number]

/** So many digits of shares are summed exactly. */
const DIGITS = 1e9

/** The sum of the shares by which the segments of a group take new users. */
function sumEnrolled(group: GroupReport | undefined): number {
  const enrolled = (group?.segments ?? []).filter(({ enroll_new_users }) => enroll_new_users)
  return enrolled.reduce((sum, { selection }) => sum + (selection ?? 0), 0)
}

/**
 * Starts an experiment: a segment for the treatment, one for the control and perhaps a holdout, in one exclusive group. It shows
 * how many users each will have. If creating one fails, starting again creates the rest.
 */
export function StartExperimentDialog({
  group,
  onClose
}: {
  /** Default: a new one of the experiment's name. */
  group?: GroupReport
  onClose: () => void
}) {
  const { client } = useSession()
  const [text, setText] = useState('')
  const [percents, setPercents] = useState<Record<PartName, string>>({
    treatment: '10',
    control: '10',
    holdout: '5'
  })
  const [hasHoldout, setHoldout] = useState(false)
  const [enrolls, setEnrolls] = useState(true)
  const [created, setCreated] = useState<readonly string[]>([])
  const counted = useRequest('users count', (options) => client.countUsers(options))

  const name = text.trim().toUpperCase()
  const groupSlug = group?.slug ?? name
  const users = group?.users ?? counted.value
  const free = group?.free_users ?? counted.value
  const parts = partNames
    .filter((part) => part !== 'holdout' || hasHoldout)
    .map((part) => {
      const share = parsePercent(percents[part])
      return {
        part,
        slug: `${name}_${part.toUpperCase()}`,
        share,
        users: users === undefined ? undefined : countShare(share ?? 0, users)
      }
    })
  const needed = parts.reduce((sum, part) => sum + (part.users ?? 0), 0)
  const enrolled = parts.reduce((sum, { share = 0 }) => sum + share, sumEnrolled(group))
  const isNamed = parts.every(({ slug }) => isSlug(slug)) && name !== ''
  const isTooMany = free !== undefined && needed > free && created.length === 0
  const enrollsTooMany = enrolls && Math.round(enrolled * DIGITS) > DIGITS
  const isReady = isNamed && parts.every(({ share }) => share !== undefined) && !isTooMany && !enrollsTooMany

  const start = async () => {
    const done = [...created]
    const create = async (slug: string, request: () => Promise<unknown>) => {
      if (done.includes(slug)) return
      await request()
      done.push(slug)
      setCreated([...done])
    }
    if (!group) await create(groupSlug, () => client.createGroup({ slug: groupSlug }))
    for (const { part, slug, share = 0 } of parts) {
      const segment = { slug, group: groupSlug, selection: share, enroll_new_users: enrolls }
      await create(slug, () =>
        client.createSegment({ ...segment, holdout: part === 'holdout' }, { respondAsync: true })
      )
    }
    announce(t.experiment.started(name))
    onClose()
    navigate(linkToGroup(groupSlug))
  }

  return h(FormDialog, {
    title: t.experiment.start,
    action: t.experiment.start,
    isReady,
    run: start,
    onClose,
    children: html`
      <fieldset class="bare stack" disabled=${created.length > 0}>
        ${h(TextField, {
          label: t.experiment.name,
          hint: t.experiment.nameHint(group?.slug ?? t.experiment.newGroup),
          error: text !== '' && !isNamed ? t.createSegment.slugWrong : undefined,
          value: text,
          onInput: setText,
          isRequired: true,
          isMono: true,
          hasFocus: true,
          maxLength: 118
        })}
        ${h(CheckField, { label: t.experiment.withHoldout, hint: t.experiment.withHoldoutHint, isChecked: hasHoldout, onChange: setHoldout })}
        <div class="parts">
          ${parts.map(({ part, share }) =>
            h(TextField, {
              key: part,
              label: t.experiment.parts[part],
              value: percents[part],
              onInput: (value: string) => setPercents({ ...percents, [part]: value }),
              error: share === undefined ? t.createSegment.shareWrong : undefined
            })
          )}
        </div>
        ${h(CheckField, { label: t.experiment.enroll, isChecked: enrolls, onChange: setEnrolls })}
      </fieldset>
      ${counted.error !== undefined && h(ErrorNotice, { error: counted.error, onRetry: counted.reload })}
      ${
        isNamed &&
        users !== undefined &&
        free !== undefined &&
        html`<div class="stack-small" aria-live="polite">
          <table class="plain preview" aria-label=${t.experiment.preview}>
            <thead>
              <tr><th scope="col">${t.experiment.preview}</th><th scope="col" class="number">${t.experiment.share}</th><th scope="col" class="number">${t.experiment.users}</th></tr>
            </thead>
            <tbody>
              ${parts.map(
                (part) => html`<tr key=${part.slug}>
                  <td class="mono">${part.slug}</td>
                  <td class="number">${part.share === undefined ? '–' : formatShare(part.share)}</td>
                  <td class="number">${formatCount(part.users ?? 0)}</td>
                </tr>`
              )}
            </tbody>
          </table>
          <p>${t.experiment.random} ${!isTooMany && created.length === 0 && t.experiment.freeAfter(formatCount(free), formatCount(free - needed))}</p>
        </div>`
      }
      ${isTooMany && h(Notice, { kind: 'warning', children: t.experiment.tooMany(t.common.users(needed), formatCount(free ?? 0)) })}
      ${enrollsTooMany && h(Notice, { kind: 'warning', children: t.experiment.enrollsTooMany })}
      ${created.length > 0 && h(Notice, { kind: 'warning', children: t.experiment.createdSoFar(created.join(', ')) })}
    `
  })
}
