import { h } from 'preact'
import { useState } from 'preact/hooks'
import { createIdempotencyKey, isSegmentsError } from '../../client/src/index.ts'
import { Button, ButtonLink } from '../components/button.ts'
import { ConfirmDialog } from '../components/dialog.ts'
import { CheckField } from '../components/field.ts'
import { ErrorNotice, Notice } from '../components/notice.ts'
import { Section } from '../components/page.ts'
import { html } from '../html.ts'
import {
  cancelImport,
  checkImport,
  type ImportAccount,
  type ImportJob,
  type ImportState,
  importFile,
  listCounts,
  resetImport,
  retryImport,
  runImport
} from '../import-run.ts'
import { formatBytes } from '../language.ts'
import { linkToSegment } from '../router.ts'
import { useSession } from '../session.ts'
import { t } from '../texts.ts'
import { AccountView } from './import-account.ts'

const sumUp = (
  texts: typeof t.imports.effects,
  { order: { action, slug } }: ImportJob,
  account: ImportAccount
) => {
  const { added = 0, removed = 0, new_users = 0 } = account
  switch (action) {
    case 'add':
      return texts.add(t.common.users(added), slug)
    case 'remove':
      return texts.remove(t.common.users(removed), slug)
    case 'replace':
      return texts.replace(t.common.users(added), t.common.users(removed), slug)
    case 'know':
      return texts.know(t.common.users(new_users))
  }
}

function Sending({ state: { job, progress, mayTakeEffect } }: { state: ImportState & { is: 'sending' } }) {
  const { bytes, total = 0 } = progress
  const isSent = bytes === total
  const isDryRun = job.checked === undefined
  const after = isDryRun ? t.imports.counting : t.imports.takingEffect
  return h(Section, {
    title: isDryRun ? t.imports.checking : t.imports.doing,
    actions: h(Button, { onClick: cancelImport, children: t.common.cancel }),
    children: html`<label class="stack-small">
        <span class="number">${isSent ? after : t.imports.sent(formatBytes(bytes), formatBytes(total))}</span>
        <progress max=${total} value=${isSent ? undefined : bytes}></progress>
      </label>
      <p class="hint">${mayTakeEffect ? t.imports.cannotStop : t.imports.cancelHint}</p>`
  })
}

/** What will change, and what does it. */
function Checked({ state: { job, account } }: { state: ImportState & { is: 'checked' } }) {
  const { client } = useSession()
  const [skips, setSkips] = useState(false)
  const [isAsking, setAsking] = useState(false)
  const { order } = job
  const { removed = 0, rejected } = account
  const action = sumUp(t.imports.actions, job, account)
  const effect = sumUp(t.imports.effects, job, account)
  const isBlocked = rejected.count > 0 && !skips
  const start = async () => {
    void runImport(client, { order, key: createIdempotencyKey(), skips, checked: account })
  }
  return h(Section, {
    title: t.imports.willChange,
    children: html`<div class="stack">
      ${h(Notice, { kind: rejected.count > 0 || removed > 0 ? 'warning' : 'info', children: html`<div><p>${effect}</p><p>${t.imports.nothingYet}</p></div>` })}
      ${h(AccountView, { account })}
      ${rejected.count > 0 && h(CheckField, { label: t.imports.skip, hint: t.imports.skipHint, isChecked: skips, onChange: setSkips })}
      <div class="row">
        ${h(Button, {
          kind: removed > 0 ? 'danger' : 'primary',
          isDisabled: isBlocked,
          onClick: removed > 0 ? () => setAsking(true) : start,
          children: action
        })}
      </div>
      ${
        isAsking &&
        h(ConfirmDialog, {
          title: t.imports.confirm,
          slug: order.slug,
          action,
          run: start,
          onClose: () => setAsking(false),
          children: html`<p>${effect}</p>${order.action === 'replace' && html`<p>${t.imports.noMore}</p>`}`
        })
      }
    </div>`
  })
}

const haveChanged = (checked: ImportAccount | undefined, account: ImportAccount): boolean =>
  checked !== undefined && listCounts(account).some(([name, count]) => count !== checked[name])

function Done({ state: { job, account } }: { state: ImportState & { is: 'done' } }) {
  const { slug } = job.order
  const another = () => {
    importFile.set(undefined)
    resetImport()
  }
  return h(Section, {
    title: t.imports.done,
    children: html`<div class="stack">
      ${h(Notice, { kind: 'success', children: sumUp(t.imports.results, job, account) })}
      ${haveChanged(job.checked, account) && h(Notice, { children: t.imports.differs })}
      ${h(AccountView, { account })}
      <div class="row">
        ${slug !== '' && h(ButtonLink, { kind: 'primary', href: linkToSegment(slug), children: t.imports.toSegment(slug) })}
        ${h(Button, { onClick: another, children: t.imports.another })}
      </div>
    </div>`
  })
}

function Failed({ state }: { state: ImportState & { is: 'failed' } }) {
  const { job, error, mayTakeEffect } = state
  const { client } = useSession()
  const details = isSegmentsError(error, 'LINES_REJECTED') ? error.details : undefined
  const { lines, rejected } = details ?? {}
  return h(Section, {
    title: t.imports.failed,
    actions: h(Button, { onClick: cancelImport, children: t.common.cancel }),
    children: html`<div class="stack">
      ${h(ErrorNotice, { error, onRetry: () => void retryImport(client, state) })}
      <p class="hint">${mayTakeEffect ? t.imports.retryIsSafe : t.imports.nothingChanged}</p>
      ${lines !== undefined && rejected !== undefined && h(AccountView, { account: { ...details, lines, rejected } })}
      ${
        job.checked !== undefined &&
        html`<div>${h(Button, { onClick: () => void checkImport(client, job.order), children: t.imports.checkAgain })}</div>`
      }
    </div>`
  })
}

function Cancelled({ state: { job, mayTakeEffect } }: { state: ImportState & { is: 'cancelled' } }) {
  const { client } = useSession()
  return h(Section, {
    title: t.imports.cancelledTitle,
    children: html`<div class="stack">
      ${h(Notice, { kind: mayTakeEffect ? 'warning' : 'info', children: mayTakeEffect ? t.imports.mayTakeEffect : t.imports.cancelled })}
      <div>${h(Button, { onClick: () => void checkImport(client, job.order), children: t.imports.checkAgain })}</div>
    </div>`
  })
}

/** How far the import is, and what can be done next. */
export function ImportProgress({ state }: { state: ImportState }) {
  switch (state.is) {
    case 'idle':
      return null
    case 'sending':
      return h(Sending, { state })
    case 'checked':
      return h(Checked, { state })
    case 'done':
      return h(Done, { state })
    case 'failed':
      return h(Failed, { state })
    case 'cancelled':
      return h(Cancelled, { state })
  }
}
