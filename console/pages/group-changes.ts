import { h } from 'preact'
import { useState } from 'preact/hooks'
import type { GroupReport } from '../../client/src/index.ts'
import { ConfirmDialog, FormDialog } from '../components/dialog.ts'
import { announce } from '../components/live-region.ts'
import { NewSlugFields } from '../components/new-slug-fields.ts'
import { Notice } from '../components/notice.ts'
import { html } from '../html.ts'
import { linkToGroup, navigate } from '../router.ts'
import { useSession } from '../session.ts'
import { isSlug } from '../slugs.ts'
import { t } from '../texts.ts'

/** Creates a group without segments. */
export function CreateGroupDialog({ onClose }: { onClose: () => void }) {
  const { client } = useSession()
  const [slug, setSlug] = useState('')
  const [description, setDescription] = useState('')
  const name = slug.trim().toUpperCase()
  const text = description.trim()
  return h(FormDialog, {
    title: t.groups.create,
    action: t.groups.create,
    isReady: isSlug(name),
    run: async () => {
      await client.createGroup({ slug: name, ...(text !== '' && { description: text }) })
      announce(t.groups.wasCreated(name))
      navigate(linkToGroup(name))
    },
    onClose,
    children: html`
      ${h(NewSlugFields, { slug, onSlug: setSlug, description, onDescription: setDescription })}
      ${isSlug(name) && h(Notice, { children: t.groups.createEffect(name) })}
    `
  })
}

/** Deletes a group, after its slug was typed. */
export function DeleteGroupDialog({
  group: { slug, segments },
  onClose,
  onChange
}: {
  group: GroupReport
  onClose: () => void
  onChange: () => void
}) {
  const { client } = useSession()
  return h(ConfirmDialog, {
    title: t.groups.deleteTitle(slug),
    slug,
    action: t.groups.delete,
    run: async () => {
      await client.deleteGroup(slug)
      announce(t.groups.wasDeleted(slug))
      onChange()
    },
    onClose,
    children: html`<p>${t.groups.deleteEffect(t.common.segments(segments.length))}</p>`
  })
}
