import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { ConfigError } from '../config-error.ts'

export type Host = {
  /** A name, an IP address, or the folder of a Unix socket. */
  host: string
  port: number
}

/** The contents of the URL of a database: where the database is and how to log in. */
export type DatabaseTarget = {
  /** Tried in this order. */
  hosts: Host[]
  user: string
  password: string
  database: string
  encryption: Encryption
  /** Startup parameters of each connection. */
  settings: Record<string, string>
  /** Whether hosts that refuse writes, such as standbys, are skipped. */
  requiresPrimary: boolean
}

export type Encryption =
  | { mode: 'none' }
  /** `preferred`: encrypted if the server supports it. */
  | { mode: 'preferred' | 'required'; options: TlsOptions }

const DEFAULT_PORT = 5432
const urlPattern = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/
const hostPattern = /^(\[[0-9a-fA-F:.%]+\]|[^:[\]]*)(?::(\d*))?$/

/** The parameters with a fixed set of values. */
const choices: Record<string, string[]> = {
  ssl: ['true', 'false'],
  sslmode: ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'],
  target_session_attrs: ['read-write', 'primary', 'any'],
  channel_binding: ['disable', 'prefer']
}
/** The parameters with any text as value. */
const texts = [
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'application_name',
  'options',
  'search_path',
  'schema'
]

/** A URL is not valid. The message must not contain any part of the URL, because that could be the password. */
class InvalidUrl extends Error {}

function invalid(reason: string, cause?: unknown): InvalidUrl {
  return new InvalidUrl(reason, { cause })
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    throw invalid('its parts must be URL-encoded', error)
  }
}

/** The variables of libpq that give a parameter where DATABASE_URL does not. */
const variables: Record<string, string> = {
  PGSSLMODE: 'sslmode',
  PGSSLROOTCERT: 'sslrootcert',
  PGSSLCERT: 'sslcert',
  PGSSLKEY: 'sslkey',
  PGCHANNELBINDING: 'channel_binding',
  PGTARGETSESSIONATTRS: 'target_session_attrs',
  PGAPPNAME: 'application_name',
  PGOPTIONS: 'options'
}

function readParameters(text: string, environment: NodeJS.ProcessEnv): Map<string, string> {
  const parameters = new Map<string, string>()
  for (const [variable, name] of Object.entries(variables)) {
    const value = environment[variable]
    if (!value || (name === 'sslmode' && /(?:^|&)ssl=/.test(text))) continue
    const allowed = choices[name]
    if (allowed && !allowed.includes(value))
      throw new ConfigError(`${variable} is not valid: it must be one of ${allowed.join(', ')}`)
    parameters.set(name, value)
  }
  for (const pair of text.split('&').filter(Boolean)) {
    const [name = '', ...rest] = pair.split('=')
    const value = decode(rest.join('='))
    const allowed = choices[name]
    if (!allowed && !texts.includes(name))
      throw invalid(
        `it has an unknown parameter; known are ${[...Object.keys(choices), ...texts].join(', ')}`
      )
    if (allowed && !allowed.includes(value)) throw invalid(`${name} must be one of ${allowed.join(', ')}`)
    parameters.set(name, value)
  }
  return parameters
}

function readPort(text: string): number {
  const port = Number(text || DEFAULT_PORT)
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw invalid('a port must be a number up to 65535')
  return port
}

function readHosts(
  authority: string,
  parameters: Map<string, string>,
  environment: NodeJS.ProcessEnv
): Host[] {
  const names = parameters.get('host')?.split(',')
  const ports = (parameters.get('port') ?? environment.PGPORT ?? '').split(',')
  const inAuthority = authority.split(',').map((text) => {
    const match = hostPattern.exec(text)
    if (!match) throw invalid('a host must be name:port, and an IPv6 address in brackets')
    const [, host = '', port = ''] = match
    return { host: decode(host.replace(/^\[|\]$/g, '')), port }
  })
  const hosts = names?.map((host) => ({ host, port: '' })) ?? inAuthority
  return hosts.map(({ host, port }, index) => ({
    host: host || environment.PGHOST || 'localhost',
    port: readPort(port || (ports[index] ?? ports[0] ?? ''))
  }))
}

function readFile(path: string, parameter: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw invalid(`the file of ${parameter} cannot be read`, error)
  }
}

/** The modes have the same meaning as in libpq. */
function readEncryption(parameters: Map<string, string>): Encryption {
  const ssl = parameters.get('ssl')
  const mode = parameters.get('sslmode') ?? (ssl === 'true' ? 'verify-full' : 'disable')
  if (mode === 'disable') return { mode: 'none' }
  const rootCertificate = parameters.get('sslrootcert')
  const options: TlsOptions = {}
  if (rootCertificate && rootCertificate !== 'system') options.ca = readFile(rootCertificate, 'sslrootcert')
  for (const [parameter, option] of [
    ['sslcert', 'cert'],
    ['sslkey', 'key']
  ] as const) {
    const path = parameters.get(parameter)
    if (path) options[option] = readFile(path, parameter)
  }
  // Without a root certificate, `require` encrypts but does not verify the server.
  if (mode !== 'verify-full' && (mode !== 'require' || rootCertificate !== 'system')) {
    if (mode !== 'verify-ca' && !rootCertificate) options.rejectUnauthorized = false
    else options.checkServerIdentity = () => undefined
  }
  return { mode: mode === 'allow' || mode === 'prefer' ? 'preferred' : 'required', options }
}

/**
 * Parses the URL of a database like {@link https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING libpq}:
 * `postgres://user:password@host:port,host:port/database?parameter=value`. Missing parts come from PGHOST, PGPORT,
 * PGUSER, PGPASSWORD, PGDATABASE and the variables of libpq listed in this file.
 *
 * @param variable the name of the setting that contains the URL.
 * @throws {ConfigError} with a message of one line that contains no part of the URL.
 */
export function readDatabaseUrl(
  url: string,
  environment: NodeJS.ProcessEnv = process.env,
  variable = 'DATABASE_URL'
): DatabaseTarget {
  try {
    return parseDatabaseUrl(url, environment)
  } catch (error) {
    if (!(error instanceof InvalidUrl)) throw error
    throw new ConfigError(`${variable} is not valid: ${error.message}`, { cause: error.cause })
  }
}

function parseDatabaseUrl(url: string, environment: NodeJS.ProcessEnv): DatabaseTarget {
  const match = urlPattern.exec(url)
  if (!match)
    throw invalid('it must be such as postgres://user:password@host:5432/database, its parts URL-encoded')
  const [, login = '', authority = '', path = '', query = ''] = match
  const parameters = readParameters(query, environment)
  const [user = '', ...password] = login.split(':')
  const name = parameters.get('user') || decode(user) || environment.PGUSER || userInfo().username
  const settings: Record<string, string> = {}
  for (const parameter of ['application_name', 'options', 'search_path']) {
    const value = parameters.get(parameter)
    if (value) settings[parameter] = value
  }
  const schema = parameters.get('schema')
  if (schema) settings.search_path = `"${schema.replaceAll('"', '""')}"`
  return {
    hosts: readHosts(authority, parameters, environment),
    user: name,
    password: parameters.get('password') ?? (decode(password.join(':')) || environment.PGPASSWORD || ''),
    database: parameters.get('dbname') || decode(path) || environment.PGDATABASE || name,
    encryption: readEncryption(parameters),
    settings,
    requiresPrimary: parameters.get('target_session_attrs') !== 'any'
  }
}

/**
 * Parses READ_DATABASE_URLS: URLs like DATABASE_URL, separated by commas, each with one host.
 *
 * @throws {ConfigError} with a message of one line that contains no part of the URLs.
 */
export function readServerUrls(urls: string, environment: NodeJS.ProcessEnv = process.env): DatabaseTarget[] {
  // A URL may contain commas too.
  const parts = urls.trim().split(/\s*,\s*(?=postgres(?:ql)?:\/\/)/)
  return parts.map((url, index) => {
    const name = parts.length === 1 ? 'READ_DATABASE_URLS' : `READ_DATABASE_URLS (part ${index + 1})`
    const target = readDatabaseUrl(url, environment, name)
    if (target.hosts.length > 1)
      throw new ConfigError(`${name} is not valid: it must name one host; give each server a URL of its own`)
    return { ...target, requiresPrimary: false }
  })
}
