/** The links of reports, and their signatures. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Sql } from '../database/connect.ts'
import { retryIdempotent } from '../database/retry.ts'
import type { ReportLink } from './order-queries.ts'

/** The name of the secret in the table `secrets`. */
const SECRET = 'report links'

/** Reads the secret of a name. The first instance that needs it creates it, so that all instances agree. */
async function provideSecret(sql: Sql, name: string): Promise<Buffer> {
  await sql`
    insert into secrets (name, value)
    values (${name}, ${randomBytes(32)})
    on conflict do nothing`
  const [secret] = await sql<[{ value: Buffer }]>`select value from secrets where name = ${name}`
  return secret.value
}

/**
 * Signs links, so that they open without an API key. A signature is valid for one link and one series of editions: it
 * opens the report as long as the report exists, and no report that is ordered later.
 */
export class LinkSigner {
  readonly #sql: Sql
  #secret: Promise<Buffer> | undefined

  constructor(sql: Sql) {
    this.#sql = sql
  }

  async sign(link: ReportLink, series: string): Promise<string> {
    const digest = await this.#digest(link, series)
    return `${series}.${digest.toString('base64url')}`
  }

  /** @returns the series that the signature opens; undefined if it is not the signature of this link. */
  async verify(link: ReportLink, signature: string): Promise<string | undefined> {
    const [series = '', digest = ''] = signature.split('.')
    const given = Buffer.from(digest, 'base64url')
    const expected = await this.#digest(link, series)
    return given.length === expected.length && timingSafeEqual(given, expected) ? series : undefined
  }

  async #digest({ filename, asOf }: ReportLink, series: string): Promise<Buffer> {
    this.#secret ??= retryIdempotent(() => provideSecret(this.#sql, SECRET)).catch((error) => {
      this.#secret = undefined
      throw error
    })
    const text = JSON.stringify([filename, asOf ?? null, series])
    return createHmac('sha256', await this.#secret)
      .update(text)
      .digest()
  }
}
