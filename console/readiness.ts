import { useEffect, useState } from 'preact/hooks'
import { base } from './router.ts'

/** Whether the service can answer now, by its probe of readiness. The times are those of the viewer's clock. */
export type Readiness =
  | { is: 'checking' }
  /** `outage`: the last time that it could not, since the page was opened. */
  | { is: 'ready'; outage?: { from: Date; to: Date } | undefined }
  /** It answers, but not requests: its database is away, or it shuts down. */
  | { is: 'refusing'; since: Date; message: string; code: string; requestId: string }
  | { is: 'away'; since: Date }

type Probe =
  | { is: 'ready' }
  | { is: 'refusing'; message: string; code: string; requestId: string }
  | { is: 'away' }

const POLL_MS = 2_000
/** A probe is answered within two seconds. */
const TIMEOUT_MS = 4_000

function isRefusal(answer: unknown): answer is { message: string; code: string } {
  return typeof answer === 'object' && answer !== null && 'message' in answer && 'code' in answer
}

async function probe(): Promise<Probe> {
  try {
    const response = await fetch(`${base}/health/ready`, {
      cache: 'no-store',
      signal: AbortSignal.timeout(TIMEOUT_MS)
    })
    if (response.ok) return { is: 'ready' }
    const answer: unknown = await response.json()
    if (!isRefusal(answer)) return { is: 'away' }
    const { message, code } = answer
    return { is: 'refusing', message, code, requestId: response.headers.get('x-request-id') ?? '' }
  } catch {
    // No connection, no answer in time, or one of a proxy.
    return { is: 'away' }
  }
}

function follow(before: Readiness, probed: Probe): Readiness {
  const since = 'since' in before ? before.since : new Date()
  if (probed.is !== 'ready') return { ...probed, since }
  if ('since' in before) return { is: 'ready', outage: { from: since, to: new Date() } }
  return before.is === 'ready' ? before : { is: 'ready' }
}

/** Asks the probe of readiness every two seconds, as long as the page is visible. */
export function useReadiness(): Readiness {
  const [readiness, setReadiness] = useState<Readiness>({ is: 'checking' })
  useEffect(() => {
    let hasEnded = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const ask = async () => {
      if (document.visibilityState === 'visible') {
        const probed = await probe()
        if (hasEnded) return
        setReadiness((before) => follow(before, probed))
      }
      timer = setTimeout(ask, POLL_MS)
    }
    void ask()
    return () => {
      clearTimeout(timer)
      hasEnded = true
    }
  }, [])
  return readiness
}
