import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { CsvReader } from '../../src/imports/csv.ts'
import type { LineConsumer, UploadReader } from '../../src/imports/lines.ts'
import { readPieces } from '../../src/imports/pieces.ts'
import type { Answer } from './client.ts'
import { type TestService, waitUntil } from './service.ts'

export const CSV = 'text/csv'
export const NDJSON = 'application/x-ndjson'
export const JSON_ARRAY = 'application/json'

export type Upload = { query?: string; type?: string; method?: 'POST' | 'PUT' | 'DELETE' }

/** Sends an upload to a path below `/api/v1`, by default as CSV. */
export function upload(
  service: TestService,
  path: string,
  body: string | Buffer,
  { query = '', type = CSV, method = 'POST' }: Upload = {}
): Promise<Answer> {
  return service.request({
    method,
    url: `/api/v1/${path}${query}`,
    headers: { 'content-type': type },
    body
  })
}

/** An upload that is sent part by part, over its own socket. */
export class SlowUpload {
  readonly socket: Socket
  answer = ''

  constructor(address: string, path: string, headers = 'content-type: text/csv') {
    this.socket = connect(Number(new URL(address).port), '127.0.0.1')
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk) => {
      this.answer += chunk
    })
    this.socket.write(
      `POST /api/v1/${path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n${headers}\r\n\r\n`
    )
  }

  send(text: string): void {
    this.socket.write(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)
  }

  end(): void {
    this.socket.write('0\r\n\r\n')
  }

  answered(): Promise<string> {
    return waitUntil(
      async () => this.answer,
      (answer) => answer.endsWith('}')
    )
  }
}

/** The service does not shut down. */
export const never = new AbortController().signal

/** The result of a line: the user and the expiry, or why it was rejected. */
export type Judgement = { line: number; userId?: string; expiresAt?: string | undefined; reason?: string }

type Reader = new (consumer: LineConsumer, allowsExpiry: boolean) => UploadReader

/** The result of reading an upload in these pieces. */
export async function judgeUpload(Reader: Reader, parts: Iterable<Buffer>): Promise<Judgement[]> {
  const judgements: Judgement[] = []
  const reader = new Reader(
    {
      accept: (line, userId, expiresAt) => judgements.push({ line, userId, expiresAt }),
      reject: (line, _value, reason) => judgements.push({ line, reason })
    },
    true
  )
  for await (const piece of readPieces(Readable.from(parts), Reader === CsvReader, never)) reader.read(piece)
  reader.end()
  return judgements
}
