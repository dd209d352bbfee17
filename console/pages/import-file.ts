import { h } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Field } from '../components/field.ts'
import { html } from '../html.ts'
import { formatBytes } from '../language.ts'
import { t } from '../texts.ts'

/** The limit of the service. */
const MAX_BYTES = 1024 ** 3

/** Why a file can't be uploaded; undefined if it can. */
export function findFileFault({ name, size }: File): string | undefined {
  if (/\.(xlsx?|xlsm|ods|numbers)$/i.test(name)) return t.imports.workbook
  if (size === 0) return t.imports.emptyFile
  return size > MAX_BYTES ? t.imports.tooLarge : undefined
}

/** Chooses a file: by the browser's own control, or by dropping it anywhere on the page. */
export function ImportFile({
  file,
  isDisabled,
  onChoose
}: {
  file: File | undefined
  isDisabled: boolean
  onChoose: (file: File) => void
}) {
  const [isOver, setOver] = useState(false)
  useEffect(() => {
    const drag = (event: DragEvent) => {
      // Otherwise the browser leaves the page to show the file.
      event.preventDefault()
      setOver(event.type === 'dragover' && !isDisabled)
    }
    const drop = (event: DragEvent) => {
      drag(event)
      const dropped = event.dataTransfer?.files[0]
      if (dropped && !isDisabled) onChoose(dropped)
    }
    document.addEventListener('dragover', drag)
    document.addEventListener('dragleave', drag)
    document.addEventListener('drop', drop)
    return () => {
      document.removeEventListener('dragover', drag)
      document.removeEventListener('dragleave', drag)
      document.removeEventListener('drop', drop)
    }
  })
  const choose = (event: Event) => {
    const chosen = event.target instanceof HTMLInputElement ? event.target.files?.[0] : undefined
    if (chosen) onChoose(chosen)
  }
  // So that the same file can be chosen again, after it has been corrected.
  const forget = (event: Event) => {
    if (event.target instanceof HTMLInputElement) event.target.value = ''
  }
  return h(Field, {
    label: t.imports.file,
    hint: t.imports.fileHint,
    error: file && findFileFault(file),
    children: (control) => html`<div class=${`drop ${isOver ? 'over' : ''}`}>
      <div>
        <input ...${control} type="file" class="visually-hidden" accept=".csv,.tsv,.txt,.json,.ndjson,.jsonl,.gz"
          onClick=${forget} onChange=${choose} />
        <label class="button" for=${control.id}>${t.imports.choose}</label>
      </div>
      <p aria-live="polite">${
        file
          ? html`<strong>${file.name}</strong> <span class="faint number">${formatBytes(file.size)}</span>`
          : t.imports.drop
      }</p>
    </div>`
  })
}
