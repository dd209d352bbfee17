import { TLSSocket } from 'node:tls'
import pg from 'pg'
import { openSocket } from './driver/open-socket.ts'
import { SESSION_CHECK, SESSION_SETTINGS } from './session-settings.ts'
import { type DatabaseTarget, type Encryption, type Host, readDatabaseUrl } from './url.ts'

/** Migrations have no time limits, even if the role has some. */
const NO_LIMITS = { statement_timeout: '0', lock_timeout: '0', idle_in_transaction_session_timeout: '0' }

/**
 * Connects with `pg`, which node-pg-migrate needs, to the database of the service, with the same settings.
 *
 * @throws {ConfigError} if the URL is not valid.
 */
export async function connectForMigration(url: string): Promise<pg.Client> {
  const target = readDatabaseUrl(url)
  let failure: unknown
  for (const host of target.hosts) {
    try {
      return await connectTo(host, target)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

/** Connects to one host, because `pg` accepts only one. */
async function connectTo(host: Host, target: DatabaseTarget): Promise<pg.Client> {
  const { application_name, options, ...settings } = target.settings
  const isEncrypted = await supportsEncryption(host, target.encryption)
  const client = new pg.Client({
    ...host,
    user: target.user,
    password: target.password,
    database: target.database,
    application_name: application_name ?? 'user-segments migrate',
    options: [options, writeOptions({ ...settings, ...SESSION_SETTINGS, ...NO_LIMITS })].join(' '),
    // The host is given, because `pg` would check the certificate of an IP address as that of "localhost".
    ssl: isEncrypted && target.encryption.mode !== 'none' && { ...target.encryption.options, host: host.host }
  })
  // A lost connection also rejects the query in progress; without a listener it would end the process.
  client.on('error', () => {})
  await client.connect()
  const { rows } = await client.query<{ isReadOnly: boolean }>(SESSION_CHECK)
  if (!rows[0]?.isReadOnly || !target.requiresPrimary) return client
  await client.end()
  throw new Error('the database accepts no writes')
}

/** Whether the connection to the host is to be encrypted. @throws {Error} if the host does not answer. */
async function supportsEncryption(host: Host, encryption: Encryption): Promise<boolean> {
  const socket = await openSocket(host, encryption)
  socket.destroy()
  return socket instanceof TLSSocket
}

/** Formats settings for the connection parameter `options`. */
function writeOptions(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, '\\$&')}`)
    .join(' ')
}
