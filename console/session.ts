import { isSegmentsError, type Key, SegmentsClient } from '../client/src/index.ts'
import { base } from './router.ts'
import { Store, useStore } from './store.ts'

export type Role = Key['role']

/** Who is signed in. */
export type Session = Readonly<{
  client: SegmentsClient
  /** The name of the key; null if the service needs none. */
  name: string | null
  role: Role
}>

/** `starting` until it is known whether a key is needed. */
export type SessionState =
  | { is: 'starting' }
  | { is: 'signed-out'; because: 'asked' | 'expired' | 'key-needed' }
  | { is: 'unreachable'; error: unknown }
  | { is: 'signed-in'; session: Session }

/** Kept for the tab, if that is wished. It is never in an address, and never outlives the tab. */
const STORED = 'user-segments.key'

const roles: readonly Role[] = ['reader', 'editor', 'admin']

export const sessionState = new Store<SessionState>({ is: 'starting' })

function createClient(key: string | undefined): SegmentsClient {
  const url = location.origin + base
  return new SegmentsClient(key === undefined ? { url } : { url, key })
}

async function openSession(key: string | undefined): Promise<Session> {
  const client = createClient(key)
  const { name, role } = await client.getKey()
  return { client, name, role }
}

/** Signs in with the key of the tab, or without one if the service needs none. */
export async function startSession(): Promise<void> {
  const key = sessionStorage.getItem(STORED) ?? undefined
  try {
    sessionState.set({ is: 'signed-in', session: await openSession(key) })
  } catch (error) {
    if (!isSegmentsError(error, 'UNAUTHENTICATED')) sessionState.set({ is: 'unreachable', error })
    else signOut(key === undefined ? 'key-needed' : 'expired')
  }
}

/**
 * Signs in.
 *
 * @param isKept whether the key is kept until the tab is closed: otherwise only until the page is loaded again.
 * @throws {SegmentsError} UNAUTHENTICATED
 * @throws {TypeError} for a key that no header can hold.
 */
export async function signIn(key: string, isKept: boolean): Promise<void> {
  const session = await openSession(key)
  if (isKept) sessionStorage.setItem(STORED, key)
  sessionState.set({ is: 'signed-in', session })
}

export function signOut(because: 'asked' | 'expired' | 'key-needed'): void {
  sessionStorage.removeItem(STORED)
  sessionState.set({ is: 'signed-out', because })
}

/** The session, in a component of a page: pages are shown only to those who have signed in. */
export function useSession(): Session {
  const state = useStore(sessionState)
  if (state.is !== 'signed-in') throw new Error('a page is shown without a session')
  return state.session
}

/** Whether a role includes another one. */
export const reaches = (role: Role, needed: Role): boolean => roles.indexOf(role) >= roles.indexOf(needed)

/** Whether the viewer's key has this role or a higher one. What a key may not do, is not offered. */
export function useMay(needed: Role): boolean {
  return reaches(useSession().role, needed)
}
