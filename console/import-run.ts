import {
  type AddedMembers,
  createIdempotencyKey,
  isSegmentsError,
  type Progress,
  type SegmentsClient,
  type UploadOptions
} from '../client/src/index.ts'
import { announce } from './components/live-region.ts'
import { isOutage, reportError } from './requests.ts'
import { sessionState } from './session.ts'
import { Store } from './store.ts'
import { t } from './texts.ts'

export const importActions = ['add', 'remove', 'replace', 'know'] as const
export type ImportAction = (typeof importActions)[number]

/** What is to be done with the users of a file. */
export type ImportOrder = Readonly<{
  action: ImportAction
  /** Empty if the users are only made known. */
  slug: string
  file: File
}>

const counts = ['added', 'removed', 'already_members', 'not_members', 'new_users', 'already_known'] as const
export type ImportCount = (typeof counts)[number]

/** The account of an upload, whatever its action: it has the counts that the action has. */
export type ImportAccount = Pick<AddedMembers, 'lines' | 'rejected'> & Partial<Record<ImportCount, number>>

/** The counts that an account has. */
export const listCounts = (account: ImportAccount): [ImportCount, number][] =>
  counts.flatMap((name) => {
    const count = account[name]
    return count === undefined ? [] : [[name, count]]
  })

/** One upload of the file. Sent again, it takes effect once, as its key stays the same. */
export type ImportJob = Readonly<{
  order: ImportOrder
  key: string
  /** Whether rejected lines are skipped. */
  skips: boolean
  /** What the dry run before has counted; undefined for the dry run itself. */
  checked: ImportAccount | undefined
}>

/** `mayTakeEffect` if the service has had the whole file, in whichever attempt, and its answer is not known. */
export type ImportState =
  | { is: 'idle' }
  | { is: 'sending'; job: ImportJob; progress: Progress; mayTakeEffect: boolean }
  /** Nothing has changed yet. */
  | { is: 'checked'; job: ImportJob; account: ImportAccount }
  | { is: 'done'; job: ImportJob; account: ImportAccount }
  | { is: 'failed'; job: ImportJob; error: unknown; mayTakeEffect: boolean }
  | { is: 'cancelled'; job: ImportJob; mayTakeEffect: boolean }

/** The import. It goes on while other pages are shown, until the tab is closed or the viewer signs out. */
export const importState = new Store<ImportState>({ is: 'idle' })
/** The chosen file, which no address can hold. */
export const importFile = new Store<File | undefined>(undefined)

/** Milliseconds until an upload is sent again that the service could not take. The client has repeated it before. */
const RETRY_MS = 5_000

let sending = new AbortController()

/** Whether an upload that has failed may have taken effect: not if the service has refused it. */
function isUnsettled(error: unknown): boolean {
  return !isSegmentsError(error) || error.status === undefined || error.status >= 500
}

/** How a file is uploaded: by the extensions of its name. Whatever is not JSON is CSV. */
function readForm(name: string): UploadOptions {
  const bare = name.replace(/\.gz$/i, '')
  const form: UploadOptions = { type: 'text/csv' }
  if (/\.json$/i.test(bare)) form.type = 'application/json'
  if (/\.(ndjson|jsonl)$/i.test(bare)) form.type = 'application/x-ndjson'
  if (bare !== name) form.encoding = 'gzip'
  return form
}

function upload(
  client: SegmentsClient,
  { order, key, skips, checked }: ImportJob,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void
): Promise<ImportAccount> {
  const { action, slug, file } = order
  const options = {
    ...readForm(file.name),
    signal,
    onProgress,
    idempotencyKey: key,
    dry_run: checked === undefined,
    on_error: skips ? ('skip' as const) : ('fail' as const)
  }
  switch (action) {
    case 'add':
      return client.addSegmentUsers(slug, file, options)
    case 'remove':
      return client.removeSegmentUsers(slug, file, options)
    case 'replace':
      // No more users leave than were shown.
      return client.replaceSegmentUsers(slug, file, {
        ...options,
        ...(checked?.removed !== undefined && { max_removed: checked.removed })
      })
    case 'know':
      return client.addUsers(file, options)
  }
}

/** @throws {Error} if the file was changed or removed after it was chosen: the browser does not read it any more. */
async function checkReadable(file: File): Promise<void> {
  try {
    await file.slice(0, 1).arrayBuffer()
  } catch (cause) {
    throw new Error(t.imports.unreadable, { cause })
  }
}

/**
 * Sends an upload, or sends it again.
 *
 * @param mayTakeEffect whether it may do so by having been sent before.
 */
export async function runImport(
  client: SegmentsClient,
  job: ImportJob,
  mayTakeEffect = false
): Promise<void> {
  sending.abort()
  sending = new AbortController()
  const { signal } = sending
  const { file } = job.order
  const isDryRun = job.checked === undefined
  let wasSent = mayTakeEffect
  const show = (state: ImportState) => {
    if (!signal.aborted) importState.set(state)
  }
  const tell = (progress: Progress) => {
    wasSent ||= !isDryRun && progress.bytes === progress.total
    show({ is: 'sending', job, progress, mayTakeEffect: wasSent })
  }
  tell({ bytes: 0, total: file.size })
  try {
    await checkReadable(file)
    const account = await upload(client, job, signal, tell)
    show({ is: isDryRun ? 'checked' : 'done', job, account })
    if (!signal.aborted) announce(isDryRun ? t.imports.checked : t.imports.done)
  } catch (failure) {
    if (signal.aborted) return
    reportError(failure)
    const error = isSegmentsError(failure, 'CONNECTION_FAILED')
      ? await checkReadable(file).then(
          () => failure,
          (unreadable: unknown) => unreadable
        )
      : failure
    const failed: ImportState & { is: 'failed' } = {
      is: 'failed',
      job,
      error,
      mayTakeEffect: wasSent && isUnsettled(failure)
    }
    show(failed)
    if (!isOutage(error)) return
    setTimeout(() => {
      if (importState.value === failed) void retryImport(client, failed)
    }, RETRY_MS)
  }
}

/** Sends again what has failed: with the same key, so that it takes effect once. */
export function retryImport(
  client: SegmentsClient,
  { job, mayTakeEffect }: ImportState & { is: 'failed' }
): Promise<void> {
  return runImport(client, job, mayTakeEffect)
}

/** Counts what would change. */
export function checkImport(client: SegmentsClient, order: ImportOrder): Promise<void> {
  return runImport(client, { order, key: createIdempotencyKey(), skips: false, checked: undefined })
}

/** Ends what is under way. The service does not stop once it has the whole file. */
export function cancelImport(): void {
  const state = importState.value
  if (state.is !== 'sending' && state.is !== 'failed') return
  const { job, mayTakeEffect } = state
  sending.abort()
  importState.set({ is: 'cancelled', job, mayTakeEffect })
  announce(mayTakeEffect ? t.imports.mayTakeEffect : t.imports.cancelled)
}

/** Forgets what was checked or done: another import begins. */
export function resetImport(): void {
  sending.abort()
  importState.set({ is: 'idle' })
}

sessionState.subscribe(() => {
  resetImport()
  importFile.set(undefined)
})

// Whoever closes the tab ends the upload.
addEventListener('beforeunload', (event) => {
  if (importState.value.is === 'sending') event.preventDefault()
})
