import { h } from 'preact'
import { useState } from 'preact/hooks'
import type { ChangeSegment, Segment } from '../../client/src/index.ts'
import { ConfirmDialog, FormDialog } from '../components/dialog.ts'
import { CheckField, SelectField, TextField } from '../components/field.ts'
import { announce } from '../components/live-region.ts'
import { Notice } from '../components/notice.ts'
import { html } from '../html.ts'
import { useRequest } from '../requests.ts'
import { useSession } from '../session.ts'
import { t } from '../texts.ts'
import { describeProperty } from './segment-history.ts'

type DialogProps = { segment: Segment; onClose: () => void; onChange: () => void }

/** Changes the properties: it lists what changes, from what to what, and sends only that. */
export function EditSegmentDialog({ segment, onClose, onChange }: DialogProps) {
  const { client } = useSession()
  const [description, setDescription] = useState(segment.description ?? '')
  const [group, setGroup] = useState(segment.group ?? '')
  const [holdout, setHoldout] = useState(segment.holdout)
  const groups = useRequest('groups', async (options) => Array.fromAsync(client.listGroups(options)))
  const change: ChangeSegment = {}
  const text = description.trim() === '' ? null : description.trim()
  const chosenGroup = group === '' ? null : group
  if (text !== segment.description) change.description = text
  if (chosenGroup !== segment.group) change.group = chosenGroup
  if (holdout !== segment.holdout) change.holdout = holdout
  const names = (['description', 'group', 'holdout'] as const).filter((name) => name in change)
  const options = [
    ...new Set([...(groups.value ?? []).map(({ slug }) => slug), ...(segment.group ? [segment.group] : [])])
  ]
  return h(FormDialog, {
    title: t.segment.editTitle(segment.slug),
    action: t.common.save,
    isReady: names.length > 0,
    run: async () => {
      await client.changeSegment(segment.slug, change)
      announce(t.segment.saved)
      onChange()
    },
    onClose,
    children: html`
      ${h(TextField, { label: t.createSegment.description, isOptional: true, value: description, onInput: setDescription, maxLength: 1_000, hasFocus: true })}
      ${h(SelectField<string>, {
        label: t.createSegment.group,
        hint: t.createSegment.groupHint,
        value: group,
        options: [
          { value: '', label: t.createSegment.noGroup },
          ...options.map((slug) => ({ value: slug, label: slug }))
        ],
        onChange: setGroup
      })}
      ${group !== '' && h(CheckField, { label: t.segment.holdout, hint: t.segment.holdoutHint, isChecked: holdout, onChange: setHoldout })}
      ${
        names.length > 0 &&
        h(Notice, {
          kind: 'warning',
          children: html`<ul class="plain-list">
            ${names.map((name) => html`<li key=${name}>${t.segment.properties[name]}: ${describeProperty(segment[name])} → ${describeProperty(change[name])}</li>`)}
          </ul>`
        })
      }
    `
  })
}

/** Deletes a segment, after its slug was typed. */
export function DeleteSegmentDialog({ segment: { slug, members }, onClose, onChange }: DialogProps) {
  const { client } = useSession()
  return h(ConfirmDialog, {
    title: t.segment.deleteTitle(slug),
    slug,
    action: t.segment.delete,
    run: async () => {
      await client.deleteSegment(slug)
      announce(t.segment.wasDeleted(slug))
      onChange()
    },
    onClose,
    children: html`<p>${t.segment.deleteEffect(t.common.users(members))}</p>`
  })
}
