import { h } from 'preact'
import { useId, useState } from 'preact/hooks'
import { isSegmentsError } from '../../client/src/index.ts'
import { ConfirmDialog, FormDialog } from '../components/dialog.ts'
import { CheckField, TextField } from '../components/field.ts'
import { announce } from '../components/live-region.ts'
import { Notice } from '../components/notice.ts'
import { SegmentOffers, useSegmentOffers } from '../components/segment-offers.ts'
import { formatTime } from '../components/values.ts'
import { html } from '../html.ts'
import { fromFieldText, writeMoment } from '../moments.ts'
import { useSession } from '../session.ts'
import { t } from '../texts.ts'

type DialogProps = { userId: string; onClose: () => void; onChange: () => void }

/** Adds a user to a segment: for good, or until a moment. */
export function AddToSegmentDialog({ userId, onClose, onChange }: DialogProps) {
  const { client } = useSession()
  const [text, setText] = useState('')
  const [until, setUntil] = useState('')
  const [moves, setMoves] = useState(false)
  const offersId = useId()
  const slug = text.trim().toUpperCase()
  const end = fromFieldText(until)
  const offers = useSegmentOffers(slug)
  const found = offers.value?.find((segment) => segment.slug === slug)
  const add = async () => {
    await client.changeUserSegments(userId, {
      segments_to_add: [end ? { slug, expires_at: writeMoment(end) } : slug],
      ...(moves && { move: true })
    })
    announce(t.user.changed)
    onChange()
  }
  return h(FormDialog, {
    title: t.user.addTitle(userId),
    action: t.user.add,
    isReady: slug !== '',
    run: add,
    onClose,
    children: html`
      ${h(TextField, { label: t.user.segment, value: text, onInput: setText, isRequired: true, isMono: true, hasFocus: true, list: offersId })}
      ${h(SegmentOffers, { id: offersId, offers: offers.value })}
      ${h(TextField, { label: t.user.expires, hint: t.user.expiresHint, isOptional: true, type: 'datetime-local', value: until, onInput: setUntil })}
      ${typeof found?.group === 'string' && h(CheckField, { label: t.user.move, hint: found.group, isChecked: moves, onChange: setMoves })}
      ${slug !== '' && h(Notice, { children: t.user.addEffect(userId, slug, end ? formatTime(end) : t.common.never) })}
    `
  })
}

/** Ends a membership. */
export function RemoveFromSegmentDialog({ userId, slug, onClose, onChange }: DialogProps & { slug: string }) {
  const { client } = useSession()
  return h(FormDialog, {
    title: t.user.removeTitle(userId, slug),
    action: t.user.remove,
    kind: 'danger',
    run: async () => {
      await client.changeUserSegments(userId, { segments_to_delete: [slug] })
      announce(t.user.changed)
      onChange()
    },
    onClose,
    children: html`<p>${t.user.removeEffect}</p>`
  })
}

/** Erases a user, after the id was typed. */
export function EraseUserDialog({ userId, onClose, onChange }: DialogProps) {
  const { client } = useSession()
  const erase = async () => {
    try {
      await client.eraseUser(userId)
    } catch (error) {
      // Somebody else has erased the user meanwhile.
      if (!isSegmentsError(error, 'USER_NOT_FOUND')) throw error
    }
    announce(t.user.erased(userId))
    onChange()
  }
  return h(ConfirmDialog, {
    title: t.user.eraseTitle(userId),
    slug: userId,
    action: t.user.erase,
    run: erase,
    onClose,
    children: html`<p>${t.user.eraseEffect}</p>`
  })
}
