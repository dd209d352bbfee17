/** The links of reports, and their signatures. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Sql } from '../database/connect.ts'
import { retryIdempotent } from '../database/retry.ts'
import { invalidRequest } from '../http/errors.ts'
import type { ReportLink } from './order-queries.ts'

/** A valid host with an optional port. The header `Host` may contain anything. */
const authority = /^(\[[\da-f:.]+\]|[\w.~%!$&'()*+,;=-]+)(:\d+)?$/i

/**
 * The base URL of links if PUBLIC_URL is not set: the address at which the client has reached this service.
 *
 * @throws {ApiError} if the header `Host` is not valid.
 */
function requestOrigin({ protocol, host, socket }: FastifyRequest): string {
  // A request of HTTP/1.0 may have no Host.
  if (!host) return `${protocol}://${socket.localAddress}:${socket.localPort}`
  if (!authority.test(host) || !URL.canParse(`${protocol}://${host}`))
    throw invalidRequest('header (host) must be a host name, with a port or without')
  return `${protocol}://${host}`
}

/** The name of the secret in the table `secrets`. */
const SECRET = 'report links'

async function selectSecret(sql: Sql): Promise<Buffer | undefined> {
  const [secret] = await sql<{ value: Buffer }[]>`select value from secrets where name = ${SECRET}`
  return secret?.value
}

/** The first instance that signs a link creates the secret, so that all instances agree. */
async function createSecret(sql: Sql): Promise<Buffer | undefined> {
  await sql`
    insert into secrets (name, value)
    values (${SECRET}, ${randomBytes(32)})
    on conflict do nothing`
  return selectSecret(sql)
}

function digest(secret: Buffer, { filename, asOf }: ReportLink, series: string): Buffer {
  return createHmac('sha256', secret)
    .update(JSON.stringify([filename, asOf ?? null, series]))
    .digest()
}

/** Writes the full URL of a link. @param folder the path of its route, below the API's base path. */
export type LinkWriter = (folder: string, link: ReportLink, series: string) => string

/**
 * Writes links, and signs them where keys are configured, so that they open without an API key. A signature is valid for one
 * link and one series of editions: it opens the report as long as the report exists, and no report that is ordered later.
 */
export class ReportLinks {
  readonly #sql: Sql
  readonly #publicUrl: string | undefined
  #secret: Buffer | undefined

  constructor(sql: Sql, publicUrl: string | undefined) {
    this.#sql = sql
    this.#publicUrl = publicUrl?.replace(/\/+$/, '')
  }

  /**
   * Reads what the links in the answer to a request need, and returns the function that writes them.
   *
   * @throws {ApiError} if the header `Host` is not valid.
   */
  async prepare(request: FastifyRequest): Promise<LinkWriter> {
    const base = this.#publicUrl ?? requestOrigin(request)
    const secret = request.actor ? await this.#prepareSecret() : undefined
    return (folder, link, series) => {
      const query = new URLSearchParams()
      if (link.asOf !== undefined) query.set('as_of', link.asOf)
      if (secret) query.set('signature', `${series}.${digest(secret, link, series).toString('base64url')}`)
      // A colon needs no encoding in a query.
      const suffix = query.size > 0 ? `?${query}`.replaceAll('%3A', ':') : ''
      return `${base}/api/v1${folder}/${link.filename}${suffix}`
    }
  }

  /** @returns the series that the signature opens; undefined if it is not the signature of this link. */
  async verify(link: ReportLink, signature: string): Promise<string | undefined> {
    const [series = '', text = ''] = signature.split('.')
    // A stranger's request creates nothing.
    this.#secret ??= await retryIdempotent(() => selectSecret(this.#sql))
    if (!this.#secret) return undefined
    const given = Buffer.from(text, 'base64url')
    const expected = digest(this.#secret, link, series)
    return given.length === expected.length && timingSafeEqual(given, expected) ? series : undefined
  }

  async #prepareSecret(): Promise<Buffer> {
    this.#secret ??= await retryIdempotent(() => createSecret(this.#sql))
    if (!this.#secret) throw new Error('the secret of report links has been deleted meanwhile')
    return this.#secret
  }
}
