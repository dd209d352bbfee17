/** Opens the body of an upload, which may be compressed, and may be a file in a form of a browser. */
import type { IncomingHttpHeaders } from 'node:http'
import { extname } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import type { FastifyRequest } from 'fastify'
import { ApiError, invalidRequest } from '../http/errors.ts'
import { receiveChunks } from './receive.ts'

export const FORM = 'multipart/form-data'

const CSV = 'text/csv'

/**
 * The media type of a file, by its extension; any other is taken for CSV. The type that a browser sends depends on what is
 * installed: with Excel, CSV is `application/vnd.ms-excel`.
 */
const mediaTypes: Record<string, string> = {
  '.json': 'application/json',
  '.ndjson': 'application/x-ndjson',
  '.jsonl': 'application/x-ndjson'
}

/** What is uploaded. */
export type UploadBody = {
  mediaType: string
  /** The bytes, which can be read once. */
  chunks: AsyncIterable<Buffer>
  /** Stops to read the body. Call it in any case. */
  close(): void
}

/** The content encodings of gzip. */
export const GZIP = ['gzip', 'x-gzip']

/**
 * Opens the body of an upload.
 *
 * @param gaveUp aborts the upload when the service shuts down.
 * @throws {ApiError} as {@link receiveChunks}, and 400 if the body is not valid gzip, or not a form with one file. The
 * chunks throw the same.
 */
export async function openUpload(request: FastifyRequest, gaveUp: AbortSignal): Promise<UploadBody> {
  const { raw, headers, mediaType = '' } = request
  const closed = new AbortController()
  const close = () => closed.abort()
  const received = receiveChunks(raw, AbortSignal.any([gaveUp, closed.signal]))
  const chunks = GZIP.includes(headers['content-encoding']?.toLowerCase() ?? '')
    ? decompress(received)
    : received
  if (mediaType !== FORM) return { mediaType, chunks, close }
  try {
    return { ...(await openForm(headers, chunks)), close }
  } catch (error) {
    close()
    throw error
  }
}

async function* decompress(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const gunzip = createGunzip()
  // A failure is thrown where the result is read.
  pipeline(Readable.from(chunks), gunzip).catch(() => {})
  try {
    yield* gunzip
  } catch (error) {
    throw isInvalidGzip(error) ? invalidRequest('the body is not valid gzip') : error
  }
}

function isInvalidGzip(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')
}

type UploadedFile = Pick<UploadBody, 'mediaType' | 'chunks'>

/** Finds the file in a form. Other fields are refused: somebody might take them for the options of the query. */
function openForm(headers: IncomingHttpHeaders, chunks: AsyncIterable<Buffer>): Promise<UploadedFile> {
  const { promise, resolve, reject } = Promise.withResolvers<UploadedFile>()
  const form = createForm(headers)
  form.on('fieldsLimit', () =>
    form.destroy(invalidForm('a field that is no file: options belong in the query'))
  )
  form.on('filesLimit', () => form.destroy(invalidForm('more than one file')))
  const whole = pipeline(Readable.from(chunks), form).catch(refuseForm)
  form.on('file', (_field, file, name) => {
    // An error is thrown where the file is read, which may not have begun.
    file.on('error', () => {})
    whole.catch((error) => file.destroy(error))
    const mediaType = mediaTypes[extname(name).toLowerCase()] ?? CSV
    resolve({ mediaType, chunks: readFile(file, whole) })
  })
  whole.then(() => reject(invalidForm('no file')), reject)
  return promise
}

function createForm(headers: IncomingHttpHeaders): BusboyInstance {
  try {
    const contentType = headers['content-type'] ?? ''
    return new Busboy({
      headers: { ...headers, 'content-type': contentType },
      limits: { files: 1, fields: 0 }
    })
  } catch {
    throw invalidForm('no boundary')
  }
}

const invalidForm = (fault: string) => invalidRequest(`the form has ${fault}`)

/** Throws the error as it is answered. Those of the parser, such as that of a form without an end, are the client's. */
function refuseForm(error: unknown): never {
  throw error instanceof ApiError ? error : invalidRequest('the form is not valid, or not complete')
}

/** @param whole settles when all of the form has been read. */
async function* readFile(file: Readable, whole: Promise<void>): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* file
  } catch (error) {
    refuseForm(error)
  }
  await whole
}
