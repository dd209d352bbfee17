import { h } from 'preact'
import { useEffect, useId } from 'preact/hooks'
import { Button } from '../components/button.ts'
import { TextField } from '../components/field.ts'
import { EmptyState, ErrorNotice } from '../components/notice.ts'
import { Page } from '../components/page.ts'
import { SegmentOffers, useSegmentOffers } from '../components/segment-offers.ts'
import { html } from '../html.ts'
import {
  checkImport,
  type ImportAction,
  importActions,
  importFile,
  importState,
  resetImport
} from '../import-run.ts'
import { changeQuery, place, useQuery } from '../router.ts'
import { useMay, useSession } from '../session.ts'
import { isSlug } from '../slugs.ts'
import { useStore } from '../store.ts'
import { t } from '../texts.ts'
import { findFileFault, ImportFile } from './import-file.ts'
import { ImportProgress } from './import-progress.ts'

/** The address follows an import that goes on, or is newer than what was shown before. */
function followImport(): void {
  const state = importState.value
  if (state.is === 'idle') return
  const { action, slug } = state.job.order
  const { query } = place.value
  const segment = query.get('segment')
  if (state.is === 'sending' || segment === null) changeQuery({ action, segment: slug })
  else if (segment.toUpperCase() !== slug || (query.get('action') ?? 'add') !== action) resetImport()
}

function ActionField({
  value,
  isDisabled,
  onChange
}: {
  value: ImportAction
  isDisabled: boolean
  onChange: (action: ImportAction) => void
}) {
  const id = useId()
  return html`<fieldset class="choices" disabled=${isDisabled}>
    <legend>${t.imports.what}</legend>
    ${importActions.map(
      (action) => html`<div key=${action} class="check">
        <input type="radio" name=${id} id=${`${id}-${action}`} checked=${action === value}
          aria-describedby=${`${id}-${action}-hint`} onChange=${() => onChange(action)} />
        <label for=${`${id}-${action}`}>${t.imports.choices[action]}</label>
        <p class="hint" id=${`${id}-${action}-hint`}>${t.imports.choiceHints[action]}</p>
      </div>`
    )}
  </fieldset>`
}

function SegmentField({ value, onInput }: { value: string; onInput: (value: string) => void }) {
  const id = useId()
  const slug = value.trim().toUpperCase()
  const { value: offers, error, reload } = useSegmentOffers(slug)
  return html`${h(TextField, {
    label: t.imports.segment,
    value,
    onInput,
    isRequired: true,
    isMono: true,
    list: id,
    maxLength: 128,
    error: slug !== '' && !isSlug(slug) ? t.createSegment.slugWrong : undefined
  })}
    ${h(SegmentOffers, { id, offers })}
    ${error !== undefined && h(ErrorNotice, { error, onRetry: reload })}`
}

/** Uploads a file of users: what will change is counted first, and shown. */
export function ImportsPage() {
  const { client } = useSession()
  const mayImport = useMay('editor')
  const [chosen, setChosen] = useQuery('action', 'add')
  const [segment, setSegment] = useQuery('segment')
  const state = useStore(importState)
  const file = useStore(importFile)
  const isSending = state.is === 'sending'
  const action = importActions.find((name) => name === chosen) ?? 'add'
  const slug = action === 'know' ? '' : segment.trim().toUpperCase()
  const isReady =
    file !== undefined &&
    findFileFault(file) === undefined &&
    (action === 'know' || isSlug(slug)) &&
    !isSending
  useEffect(followImport, [])
  if (!mayImport) {
    return h(Page, {
      title: t.imports.title,
      children: h(EmptyState, { title: t.imports.forbidden, hint: t.imports.forbiddenHint })
    })
  }
  /** What was checked is not what the form says any more. */
  const changing =
    <Value>(change: (value: Value) => void) =>
    (value: Value) => {
      if (isSending) return
      resetImport()
      change(value)
    }
  const check = (event: Event) => {
    event.preventDefault()
    if (file && isReady) void checkImport(client, { action, slug, file })
  }
  return h(Page, {
    title: t.imports.title,
    subtitle: t.imports.intro,
    children: html`<form class="card stack import" onSubmit=${check}>
        ${h(ActionField, { value: action, isDisabled: isSending, onChange: changing(setChosen) })}
        <fieldset class="bare stack" disabled=${isSending}>
          ${action !== 'know' && h(SegmentField, { value: segment, onInput: changing(setSegment) })}
          ${h(ImportFile, { file, isDisabled: isSending, onChoose: changing((file: File) => importFile.set(file)) })}
        </fieldset>
        <div class="row">
          ${h(Button, { type: 'submit', kind: state.is === 'checked' ? 'plain' : 'primary', isDisabled: !isReady, children: t.imports.check })}
          <span class="hint">${t.imports.checkHint}</span>
        </div>
      </form>
      ${h(ImportProgress, { state })}`
  })
}
