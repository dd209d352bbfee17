import { h } from 'preact'
import { useState } from 'preact/hooks'
import type { CreateSegment } from '../../client/src/index.ts'
import { FormDialog } from '../components/dialog.ts'
import { CheckField, SelectField, TextField } from '../components/field.ts'
import { announce } from '../components/live-region.ts'
import { NewSlugFields } from '../components/new-slug-fields.ts'
import { Notice } from '../components/notice.ts'
import { html } from '../html.ts'
import { countShare, parsePercent } from '../percent.ts'
import { useRequest } from '../requests.ts'
import { linkToSegment, navigate } from '../router.ts'
import { useSession } from '../session.ts'
import { isSlug } from '../slugs.ts'
import { t } from '../texts.ts'

/** Creates a segment: empty, or with a share of the users. It says how many users that is before it is done. */
export function CreateSegmentDialog({ onClose }: { onClose: () => void }) {
  const { client } = useSession()
  const [slug, setSlug] = useState('')
  const [description, setDescription] = useState('')
  const [isSampled, setSampled] = useState(false)
  const [percent, setPercent] = useState('10')
  const [enrolls, setEnrolls] = useState(false)
  const [group, setGroup] = useState('')
  const users = useRequest('users count', (options) => client.countUsers(options))
  const groups = useRequest('groups', async (options) => Array.fromAsync(client.listGroups(options)))

  const name = slug.trim().toUpperCase()
  const share = isSampled ? parsePercent(percent) : undefined
  const isReady = isSlug(name) && (!isSampled || share !== undefined)

  const create = async () => {
    const segment: CreateSegment = { slug: name }
    if (description.trim() !== '') segment.description = description.trim()
    if (share !== undefined) {
      segment.selection = share
      segment.enroll_new_users = enrolls
    }
    if (group !== '') segment.group = group
    await client.createSegment(segment, { respondAsync: true })
    announce(t.createSegment.created(name))
    navigate(linkToSegment(name))
  }

  return h(FormDialog, {
    title: t.createSegment.title,
    action: t.createSegment.create,
    isReady,
    run: create,
    onClose,
    children: html`
      ${h(NewSlugFields, { slug, onSlug: setSlug, description, onDescription: setDescription })}
      ${
        groups.value !== undefined &&
        groups.value.length > 0 &&
        h(SelectField<string>, {
          label: t.createSegment.group,
          hint: t.createSegment.groupHint,
          value: group,
          options: [
            { value: '', label: t.createSegment.noGroup },
            ...groups.value.map(({ slug }) => ({ value: slug, label: slug }))
          ],
          onChange: setGroup
        })
      }
      ${h(CheckField, { label: t.createSegment.sampled, isChecked: isSampled, onChange: setSampled })}
      ${
        isSampled &&
        html`<div class="indent stack">
          ${h(TextField, {
            label: t.createSegment.share,
            value: percent,
            onInput: setPercent,
            error: share === undefined ? t.createSegment.shareWrong : undefined
          })}
          ${h(CheckField, { label: t.createSegment.enroll, isChecked: enrolls, onChange: setEnrolls })}
        </div>`
      }
      ${
        isReady &&
        h(Notice, {
          children:
            share === undefined
              ? t.createSegment.effectEmpty(name)
              : users.value !== undefined &&
                t.createSegment.effect(name, t.common.users(countShare(share, users.value)))
        })
      }
    `
  })
}
