/** Who may call the service: keys, of whose secrets it knows the digests alone. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { BlockList, isIPv6 } from 'node:net'
import type { Config } from '../../schemas/config.ts'
import { ConfigError } from '../config.ts'

/** What a key may do; each role may do all that those before it may. */
export const roles = ['reader', 'editor', 'admin'] as const
export type Role = (typeof roles)[number]

/** Who sent a request: the name and the role of the key that came with it. */
export type Actor = Readonly<{ name: string; role: Role }>

export type ApiKey = Readonly<{ actor: Actor; digest: Buffer }>

/** Bytes of a new secret: nobody guesses one, so its digest needs no salt and no slow hash. */
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

/** What is said of a key that was not taken names its place alone: any part of it may be a secret that slipped. */
function parseApiKey(text: string, index: number): ApiKey {
  const { name = '', role, digest = '' } = keyPattern.exec(text)?.groups ?? {}
  if (isRole(role)) return { actor: { name, role }, digest: Buffer.from(digest, 'hex') }
  throw new ConfigError(
    `API_KEYS is not valid: key ${index + 1} must be name:role:sha256-of-secret, as \`npm run key\` prints it`
  )
}

/** @throws {ConfigError} naming the first key that is not one, or that has the secret of another. */
function parseApiKeys(text: string): ApiKey[] {
  const keys = text
    .trim()
    .split(/\s*,\s*/)
    .map(parseApiKey)
  for (const [index, { digest }] of keys.entries()) {
    const first = keys.findIndex((key) => key.digest.equals(digest))
    if (first < index)
      throw new ConfigError(`API_KEYS is not valid: keys ${first + 1} and ${index + 1} have the same secret`)
  }
  return keys
}

/**
 * The keys that are configured; none where everybody may do everything, which has to be said explicitly unless
 * nobody else can reach the service.
 *
 * @throws {ConfigError} where the configuration is wrong, or would let everybody in without saying so.
 */
export function readApiKeys({ API_KEYS, AUTH, HOST }: Pick<Config, 'API_KEYS' | 'AUTH' | 'HOST'>): ApiKey[] {
  if (API_KEYS !== undefined && AUTH === 'off')
    throw new ConfigError('AUTH is not valid: with API_KEYS it must be unset')
  if (API_KEYS !== undefined) return parseApiKeys(API_KEYS)
  if (AUTH === 'off' || isLoopback(HOST)) return []
  throw new ConfigError(
    `API_KEYS is not set: without it HOST must be a loopback address, not ${HOST}; AUTH=off lets everybody in`
  )
}

/** Whose secret it is. The time it takes tells nothing about how close a wrong one comes. */
export function findActor(keys: readonly ApiKey[], secret: string): Actor | undefined {
  const digest = hash('sha256', secret, 'buffer')
  let actor: Actor | undefined
  for (const key of keys) if (timingSafeEqual(key.digest, digest)) actor = key.actor
  return actor
}

/**
 * Makes a key.
 *
 * @returns its secret, which is kept nowhere, and its part of `API_KEYS`; undefined where the name is none.
 */
export function createApiKey(name: string, role: Role): { secret: string; setting: string } | undefined {
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  const setting = `${name}:${role}:${hash('sha256', secret)}`
  return keyPattern.test(setting) ? { secret, setting } : undefined
}
