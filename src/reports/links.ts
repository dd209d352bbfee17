/** The links of reports, and their signatures. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Sql } from '../database/connect.ts'
import { retryIdempotent } from '../database/retry.ts'
import type { ReportLink } from './order-queries.ts'

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

/**
 * Signs links, so that they open without an API key. A signature is valid for one link and one series of editions: it
 * opens the report as long as the report exists, and no report that is ordered later.
 */
export class LinkSigner {
  readonly #sql: Sql
  #secret: Buffer | undefined

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Reads the secret, and returns the function that signs a link with it. */
  async prepare(): Promise<(link: ReportLink, series: string) => string> {
    this.#secret ??= await retryIdempotent(() => createSecret(this.#sql))
    const secret = this.#secret
    if (!secret) throw new Error('the secret of report links has been deleted meanwhile')
    return (link, series) => `${series}.${digest(secret, link, series).toString('base64url')}`
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
}
