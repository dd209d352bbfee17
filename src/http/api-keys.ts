/** API keys: their roles and their secrets, of which the service knows only the digests. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { BlockList, isIPv6 } from 'node:net'
import type { Config } from '../../schemas/config.ts'
import { splitList } from '../config.ts'
import { ConfigError } from '../config-error.ts'

/** The roles of keys. Each role includes the permissions of the roles before it. */
export const roles = ['reader', 'editor', 'admin'] as const
export type Role = (typeof roles)[number]

/** The sender of a request: the name and the role of its key. */
export type Actor = Readonly<{ name: string; role: Role }>

export type ApiKey = Readonly<{ actor: Actor; digest: Buffer }>

/** Bytes of a new secret. It cannot be guessed, so its digest needs neither a salt nor a slow hash. */
const SECRET_BYTES = 32

const keyPattern = /^(?<name>[A-Za-z0-9][\w.-]{0,63}):(?<role>[a-z]+):(?<digest>[0-9a-f]{64})$/i

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

function isLoopback(host: string): boolean {
  return host === 'localhost' || loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')
}

export function isRole(text: string | undefined): text is Role {
  return roles.some((role) => role === text)
}

/** The error names only the position of an invalid key: any part of the key may be a misplaced secret. */
function parseApiKey(text: string, index: number): ApiKey {
  const { name = '', role, digest = '' } = keyPattern.exec(text)?.groups ?? {}
  if (isRole(role)) return { actor: { name, role }, digest: Buffer.from(digest, 'hex') }
  throw new ConfigError(
    `API_KEYS is not valid: key ${index + 1} must be name:role:sha256-of-secret, as \`npm run key\` prints it`
  )
}

/** @throws {ConfigError} for the first key that is malformed, or that has the secret of an earlier key. */
function parseApiKeys(text: string): ApiKey[] {
  const keys = splitList(text).map(parseApiKey)
  for (const [index, { digest }] of keys.entries()) {
    const first = keys.findIndex((key) => key.digest.equals(digest))
    if (first < index)
      throw new ConfigError(`API_KEYS is not valid: keys ${first + 1} and ${index + 1} have the same secret`)
  }
  return keys
}

/**
 * Reads the configured keys. Without keys, every caller has full access. Unless HOST is a loopback address, this requires
 * AUTH=off.
 *
 * @throws {ConfigError} if the configuration is invalid, or has neither keys nor AUTH=off although it requires one of them.
 */
export function readApiKeys({ API_KEYS, AUTH, HOST }: Pick<Config, 'API_KEYS' | 'AUTH' | 'HOST'>): ApiKey[] {
  if (API_KEYS !== undefined && AUTH === 'off')
    throw new ConfigError('AUTH is not valid: with API_KEYS it must be unset')
  if (API_KEYS !== undefined) return parseApiKeys(API_KEYS)
  if (AUTH === 'off' || isLoopback(HOST)) return []
  throw new ConfigError(
    `API_KEYS is not set: without it HOST must be a loopback address, not ${HOST}; AUTH=off allows access without keys`
  )
}

/** Finds the actor with a secret. The time it takes does not depend on how similar a wrong secret is to a right one. */
export function findActor(keys: readonly ApiKey[], secret: string): Actor | undefined {
  const digest = hash('sha256', secret, 'buffer')
  let actor: Actor | undefined
  for (const key of keys) if (timingSafeEqual(key.digest, digest)) actor = key.actor
  return actor
}

/**
 * Creates a key.
 *
 * @returns its secret, which is not stored, and its entry in `API_KEYS`; undefined if the name is invalid.
 */
export function createApiKey(name: string, role: Role): { secret: string; setting: string } | undefined {
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  const setting = `${name}:${role}:${hash('sha256', secret)}`
  return keyPattern.test(setting) ? { secret, setting } : undefined
}
