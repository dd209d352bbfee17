import { type ComponentChildren, h } from 'preact'
import { useId } from 'preact/hooks'
import { html } from '../html.ts'
import { t } from '../texts.ts'

type FieldProps = {
  label: string
  hint?: string | undefined
  /** What is wrong with the value. */
  error?: string | undefined
  isOptional?: boolean
}

type Control = { id: string; 'aria-describedby': string | undefined; 'aria-invalid': 'true' | undefined }

/** A label, a control, a hint and an error, which belong together for screen readers too. */
export function Field({
  label,
  hint,
  error,
  isOptional = false,
  children
}: FieldProps & { children: (control: Control) => ComponentChildren }) {
  const id = useId()
  const described = [hint !== undefined && `${id}-hint`, error !== undefined && `${id}-error`].filter(Boolean)
  const control: Control = {
    id,
    'aria-describedby': described.length > 0 ? described.join(' ') : undefined,
    'aria-invalid': error === undefined ? undefined : 'true'
  }
  return html`<div class="field">
    <label for=${id}>${label}${isOptional && html` <span class="faint">(${t.common.optional})</span>`}</label>
    ${children(control)}
    ${hint !== undefined && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error !== undefined && html`<p class="field-error" id=${`${id}-error`} role="alert">${error}</p>`}
  </div>`
}

type TextFieldProps = FieldProps & {
  value: string
  onInput: (value: string) => void
  type?: 'text' | 'password' | 'search' | 'number' | 'date' | 'datetime-local' | 'url'
  placeholder?: string
  isRequired?: boolean
  isMono?: boolean
  hasFocus?: boolean
  maxLength?: number
  /** The id of a list of values that are offered. */
  list?: string
  /** Of a moment or a number. */
  step?: string
  autocomplete?: string
}

const readValue = (event: Event): string =>
  event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement
    ? event.target.value
    : ''

export function TextField({
  value,
  onInput,
  type = 'text',
  placeholder,
  isRequired = false,
  isMono = false,
  hasFocus = false,
  maxLength,
  step,
  list,
  autocomplete = 'off',
  ...field
}: TextFieldProps) {
  return h(Field, {
    ...field,
    children: (control) => html`<input
      ...${control}
      type=${type}
      value=${value}
      class=${isMono ? 'mono' : undefined}
      placeholder=${placeholder}
      required=${isRequired}
      autofocus=${hasFocus}
      maxlength=${maxLength}
      step=${step}
      list=${list}
      autocomplete=${autocomplete}
      spellcheck=${false}
      onInput=${(event: Event) => onInput(readValue(event))}
    />`
  })
}

export function SelectField<Value extends string>({
  value,
  options,
  onChange,
  ...field
}: FieldProps & {
  value: Value
  options: readonly { value: Value; label: string }[]
  onChange: (value: Value) => void
}) {
  const change = (event: Event) => {
    const chosen = options.find((option) => option.value === readValue(event))
    if (chosen) onChange(chosen.value)
  }
  return h(Field, {
    ...field,
    children: (control) => html`<select ...${control} value=${value} onChange=${change}>
      ${options.map((option) => html`<option key=${option.value} value=${option.value}>${option.label}</option>`)}
    </select>`
  })
}

export function CheckField({
  label,
  hint,
  isChecked,
  onChange
}: {
  label: string
  hint?: string
  isChecked: boolean
  onChange: (isChecked: boolean) => void
}) {
  const id = useId()
  const change = (event: Event) => {
    if (event.target instanceof HTMLInputElement) onChange(event.target.checked)
  }
  return html`<div class="check">
    <input type="checkbox" id=${id} checked=${isChecked} onChange=${change}
      aria-describedby=${hint === undefined ? undefined : `${id}-hint`} />
    <label for=${id}>${label}</label>
    ${hint !== undefined && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`
}

/** A search in what the page shows. `/` puts the cursor into the first one of a page. */
export function SearchField({
  label,
  value,
  onInput,
  placeholder = label
}: {
  label: string
  value: string
  onInput: (value: string) => void
  placeholder?: string
}) {
  return html`<input
    type="search"
    class="search"
    aria-label=${label}
    placeholder=${placeholder}
    value=${value}
    autocomplete="off"
    spellcheck=${false}
    data-search
    onInput=${(event: Event) => onInput(readValue(event))}
  />`
}
