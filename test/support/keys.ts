import { createApiKey, type Role } from '../../src/http/api-keys.ts'

export type TestKey = { secret: string; setting: string; headers: { authorization: string } }

/** A key with its part of `API_KEYS`, and the headers of a request with it. */
export function makeKey(name: string, role: Role): TestKey {
  const key = createApiKey(name, role)
  if (!key) throw new Error(`${name} is no name of a key`)
  return { ...key, headers: { authorization: `Bearer ${key.secret}` } }
}

/** The value of `API_KEYS`. */
export function configureKeys(...keys: TestKey[]): string {
  return keys.map(({ setting }) => setting).join()
}
