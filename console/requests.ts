import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { isSegmentsError, type Pages } from '../client/src/index.ts'
import { sessionState, signOut } from './session.ts'

/** What a component knows of an answer. */
export type Requested<T> = {
  /** The last answer. While a new one loads, the old one stays. */
  value: T | undefined
  /** Why there is no newer answer. */
  error: unknown
  isLoading: boolean
  /** Whether the value is of another question: of the search before, say. */
  isStale: boolean
  reload: () => void
}

type State<T> = { key: string; value: T | undefined; error: unknown; isLoading: boolean }

type RequestOptions = {
  /** Milliseconds between an answer and the next request, as long as the page is visible. Default: it is asked once. */
  every?: number | undefined
}

/** Answers of the pages before, which are shown until newer ones come. */
const answers = new Map<string, unknown>()
const MAX_ANSWERS = 200
/** Milliseconds until a request is repeated that the service could not answer. The client has repeated it before. */
const RETRY_MS = 3_000

sessionState.subscribe(() => answers.clear())

function remember(key: string, answer: unknown): void {
  answers.delete(key)
  answers.set(key, answer)
  const [oldest] = answers.keys()
  if (answers.size > MAX_ANSWERS && oldest !== undefined) answers.delete(oldest)
}

/** Whether the service could not answer, and may be back soon. */
export function isOutage(error: unknown): boolean {
  if (!isSegmentsError(error)) return false
  const { status } = error
  return (
    error.code === 'CONNECTION_FAILED' ||
    error.code === 'TIMEOUT' ||
    [429, 502, 503, 504].includes(status ?? 0)
  )
}

/** A key that has been revoked ends the session. */
export function reportError(error: unknown): void {
  if (isSegmentsError(error, 'UNAUTHENTICATED')) signOut('expired')
}

/**
 * Asks the service, and asks again when the key changes, which says all that the answer depends on. An old request is aborted.
 * After an outage it asks again by itself.
 *
 * @param read must pass the signal on to the client.
 */
export function useRequest<T>(
  key: string,
  read: (options: { signal: AbortSignal }) => Promise<T>,
  { every }: RequestOptions = {}
): Requested<T> {
  const known = answers.get(key) as T | undefined
  const [state, setState] = useState<State<T>>({ key, value: known, error: undefined, isLoading: true })
  const [turn, setTurn] = useState(0)
  const latestRead = useRef(read)
  latestRead.current = read

  useEffect(() => {
    const controller = new AbortController()
    const { signal } = controller
    let timer: ReturnType<typeof setTimeout> | undefined

    const again = (pause: number) => {
      timer = setTimeout(() => {
        if (document.visibilityState === 'visible') void ask()
        else again(pause)
      }, pause)
    }
    const ask = async (): Promise<void> => {
      clearTimeout(timer)
      setState((before) => ({ ...before, isLoading: true }))
      try {
        const value = await latestRead.current({ signal })
        if (signal.aborted) return
        remember(key, value)
        setState({ key, value, error: undefined, isLoading: false })
        if (every !== undefined) again(every)
      } catch (error) {
        if (signal.aborted) return
        reportError(error)
        setState((before) => ({
          key,
          // An answer to another question would be taken for the answer to this one.
          value: before.key === key ? before.value : (answers.get(key) as T | undefined),
          error,
          isLoading: false
        }))
        if (isOutage(error)) again(RETRY_MS)
        else if (every !== undefined) again(every)
      }
    }
    const cached = answers.get(key) as T | undefined
    if (cached !== undefined) setState({ key, value: cached, error: undefined, isLoading: true })
    void ask()
    return () => {
      clearTimeout(timer)
      controller.abort()
    }
  }, [key, turn, every])

  const reload = useCallback(() => setTurn((turn) => turn + 1), [])
  return {
    value: state.value,
    error: state.error,
    isLoading: state.isLoading || state.key !== key,
    isStale: state.key !== key,
    reload
  }
}

/** The same, asked again and again: for what changes by itself. */
export function usePoll<T>(
  key: string,
  read: (options: { signal: AbortSignal }) => Promise<T>,
  every = 5_000
): Requested<T> {
  return useRequest(key, read, { every })
}

let freeTurns = 2
const waiting: (() => void)[] = []

/**
 * Does something that can wait, such as what each row of a list asks for: two at a time, so that the browser's connections and
 * the service are free for the rest.
 */
export async function inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  if (freeTurns === 0) await new Promise<void>((resolve) => waiting.push(resolve))
  else freeTurns -= 1
  try {
    signal.throwIfAborted()
    return await work()
  } finally {
    const next = waiting.shift()
    if (next) next()
    else freeTurns += 1
  }
}

/** What a component knows of a list that comes in pages. */
export type RequestedList<T> = Omit<Requested<readonly T[]>, 'value'> & {
  rows: readonly T[] | undefined
  isComplete: boolean
  /** Loads the next page, unless one is loading. */
  loadMore: () => void
}

type ListState<T> = {
  key: string
  rows: readonly T[] | undefined
  cursor: string | null | undefined
  error: unknown
  isLoading: boolean
}

/** Asks for a list, whose further pages are loaded when they are needed. Otherwise like {@link useRequest}. */
export function useList<Page extends { next_cursor: string | null }, T>(
  key: string,
  list: (options: { signal: AbortSignal }) => Pages<Page, T>,
  rowsOf: (page: Page) => readonly T[]
): RequestedList<T> {
  const [state, setState] = useState<ListState<T>>({
    key: '',
    rows: answers.get(key) as readonly T[] | undefined,
    cursor: undefined,
    error: undefined,
    isLoading: true
  })
  const [turn, setTurn] = useState(0)
  const latest = useRef({ list, rowsOf })
  latest.current = { list, rowsOf }
  const request = useRef<{ load: (cursor?: string) => void; isLoading: boolean }>({
    load: () => {},
    isLoading: false
  })

  useEffect(() => {
    const controller = new AbortController()
    const { signal } = controller
    let timer: ReturnType<typeof setTimeout> | undefined
    const own = { load, isLoading: false }
    request.current = own

    async function read(cursor: string | undefined): Promise<void> {
      const { value: page } = await latest.current.list({ signal }).pages(cursor).next()
      if (!page || signal.aborted) return
      setState((before) => {
        const earlier = cursor === undefined ? [] : (before.rows ?? [])
        const rows = [...earlier, ...latest.current.rowsOf(page)]
        if (cursor === undefined) remember(key, rows)
        return { key, rows, cursor: page.next_cursor, error: undefined, isLoading: false }
      })
    }
    function load(cursor?: string): void {
      if (own.isLoading) return
      own.isLoading = true
      setState((before) => ({ ...before, isLoading: true }))
      read(cursor)
        .catch((error: unknown) => {
          if (signal.aborted) return
          reportError(error)
          setState((before) => {
            const rows = before.key === key ? before.rows : undefined
            return { ...before, key, rows, error, isLoading: false }
          })
          if (isOutage(error)) timer = setTimeout(() => load(cursor), RETRY_MS)
        })
        .finally(() => {
          own.isLoading = false
        })
    }
    load()
    return () => {
      clearTimeout(timer)
      controller.abort()
    }
  }, [key, turn])

  const reload = useCallback(() => setTurn((turn) => turn + 1), [])
  return {
    rows: state.rows,
    error: state.error,
    isLoading: state.isLoading || state.key !== key,
    isStale: state.key !== key,
    isComplete: state.key === key && state.cursor === null,
    loadMore: () => {
      if (state.key === key && typeof state.cursor === 'string') request.current.load(state.cursor)
    },
    reload
  }
}
