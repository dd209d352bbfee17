import { h } from 'preact'
import { useState } from 'preact/hooks'
import { isSegmentsError } from '../../client/src/index.ts'
import { Button } from '../components/button.ts'
import { CheckField, TextField } from '../components/field.ts'
import { ErrorNotice, Notice } from '../components/notice.ts'
import { Page } from '../components/page.ts'
import { html } from '../html.ts'
import { signIn } from '../session.ts'
import { t } from '../texts.ts'

/** A key with other characters can't be sent: it is certainly none. */
const possibleKey = /^[\w.~+/-]+=*$/

/** Asks for the API key. It is sent in a header, never in an address. */
export function SignInPage({ because }: { because: 'asked' | 'expired' | 'key-needed' }) {
  const [key, setKey] = useState('')
  const [isKept, setKept] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const [isWrong, setWrong] = useState(false)
  const submit = async (event: Event) => {
    event.preventDefault()
    const secret = key.trim()
    setError(undefined)
    setWrong(!possibleKey.test(secret))
    if (!possibleKey.test(secret)) return
    setBusy(true)
    try {
      await signIn(secret, isKept)
    } catch (failure) {
      setBusy(false)
      if (isSegmentsError(failure, 'UNAUTHENTICATED')) setWrong(true)
      else setError(failure)
    }
  }
  return html`<div class="sign-in">${h(Page, {
    title: t.session.title,
    subtitle: t.session.intro,
    children: html`<form class="stack card" onSubmit=${submit}>
      ${because === 'expired' && h(Notice, { kind: 'warning', children: t.session.expired })}
      ${h(TextField, {
        label: t.session.key,
        type: 'password',
        value: key,
        onInput: setKey,
        isRequired: true,
        isMono: true,
        hasFocus: true,
        error: isWrong ? t.session.wrongKey : undefined
      })}
      ${h(CheckField, { label: t.session.keep, hint: t.session.keepHint, isChecked: isKept, onChange: setKept })}
      ${error !== undefined && h(ErrorNotice, { error })}
      <div>${h(Button, { kind: 'primary', type: 'submit', isBusy, children: t.session.signIn })}</div>
    </form>`
  })}</div>`
}
