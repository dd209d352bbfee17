import { type ComponentChildren, h } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { html } from '../html.ts'
import { t } from '../texts.ts'
import { Button } from './button.ts'
import { TextField } from './field.ts'
import { crossIcon } from './icons.ts'
import { ErrorNotice } from './notice.ts'

/** A dialog of the browser: it keeps the focus inside, and gives it back. */
export function Dialog({
  title,
  onClose,
  children
}: {
  title: string
  onClose: () => void
  children: ComponentChildren
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const element = dialog.current
    element?.showModal()
    return () => element?.close()
  }, [])
  const cancel = (event: Event) => {
    event.preventDefault()
    onClose()
  }
  // Its content fills it, so that what is pressed on the dialog itself is the backdrop.
  const press = (event: MouseEvent) => {
    if (event.target === dialog.current) onClose()
  }
  return html`<dialog ref=${dialog} aria-labelledby=${id} onCancel=${cancel} onMouseDown=${press}>
    <div class="dialog">
      <header>
        <h2 id=${id}>${title}</h2>
        ${h(Button, { kind: 'quiet', label: t.common.close, onClick: onClose, children: crossIcon() })}
      </header>
      ${children}
    </div>
  </dialog>`
}

/** A form in a dialog: it says what it will do, does it once, and shows why that failed. */
export function FormDialog({
  title,
  action,
  kind = 'primary',
  isReady = true,
  run,
  onClose,
  children
}: {
  title: string
  /** What the button says. */
  action: string
  kind?: 'primary' | 'danger'
  isReady?: boolean
  /** Does it. The dialog stays open if it fails: close it after success. */
  run: () => Promise<void>
  onClose: () => void
  children: ComponentChildren
}) {
  const [error, setError] = useState<unknown>()
  const [isBusy, setBusy] = useState(false)
  const submit = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      await run()
    } catch (failure) {
      setError(failure)
    } finally {
      setBusy(false)
    }
  }
  return h(Dialog, {
    title,
    onClose,
    children: html`<form class="stack" onSubmit=${submit}>
      ${children}
      ${error !== undefined && h(ErrorNotice, { error })}
      <footer>
        ${h(Button, { onClick: onClose, children: t.common.cancel })}
        ${h(Button, { kind, type: 'submit', isBusy, isDisabled: !isReady, children: action })}
      </footer>
    </form>`
  })
}

/** Asks for a name to be typed before something is done that can't be undone. */
export function ConfirmDialog({
  title,
  slug,
  action,
  run,
  onClose,
  children
}: {
  title: string
  /** What must be typed. */
  slug: string
  action: string
  run: () => Promise<void>
  onClose: () => void
  /** What will happen. */
  children: ComponentChildren
}) {
  const [typed, setTyped] = useState('')
  return h(FormDialog, {
    title,
    action,
    kind: 'danger',
    isReady: typed.trim().toUpperCase() === slug.toUpperCase(),
    run,
    onClose,
    children: html`${children}
      ${h(TextField, { label: t.confirm.typeSlug(slug), value: typed, onInput: setTyped, isMono: true })}`
  })
}
