import { randomUUID } from 'node:crypto'
import { PassThrough, Readable, type Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandInput,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  type MultipartUpload,
  S3Client
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { ConfigError } from '../config-error.ts'
import { storageUnavailable } from '../http/errors.ts'
import { REPORT_REDIRECT_SECONDS } from '../limits.ts'
import { answerOf, reachStorage } from './s3-requests.ts'
import { S3Upload } from './s3-upload.ts'
import { type BucketLocation, type ByteRange, type ReportStorage, storedName } from './storage.ts'

/** Whether the error is due to an object or an upload that does not exist. */
function isMissing(error: unknown): boolean {
  return ['NoSuchKey', 'NotFound', 'NoSuchUpload'].includes(answerOf(error)?.code ?? '')
}

/** The settings to correct, by what the storage answers. */
const wrongSettings: Record<string, string> = {
  InvalidAccessKeyId: 'AWS_ACCESS_KEY_ID is not valid',
  SignatureDoesNotMatch: 'AWS_SECRET_ACCESS_KEY is not valid',
  InvalidToken: 'AWS_SESSION_TOKEN is not valid',
  ExpiredToken: 'AWS_SESSION_TOKEN is not valid',
  AuthorizationHeaderMalformed: 'AWS_REGION is not valid',
  PermanentRedirect: 'AWS_REGION is not valid'
}

/** Passes the content of an object through. If its connection is lost, the error is that of all methods. */
function explainErrors(body: Readable): Readable {
  const content = new PassThrough()
  body.once('error', (error) => content.destroy(storageUnavailable(error)))
  content.once('close', () => body.destroy())
  return body.pipe(content)
}

/**
 * Turns an answer that no later attempt would change, such as a refusal of the credentials, into a ConfigError. Any other
 * error stays.
 */
function toConfigError(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined
  if (cause instanceof Error && cause.name === 'CredentialsProviderError')
    return new ConfigError('AWS_ACCESS_KEY_ID is not set: REPORTS_URL needs credentials', { cause })
  const { status = 0, code = '' } = answerOf(error) ?? {}
  if (status < 300 || status >= 500 || status === 408 || status === 429) return error
  const setting = wrongSettings[code] ?? 'REPORTS_URL is not valid'
  return new ConfigError(`${setting}: the storage of the reports answers ${status} (${code})`, { cause })
}

/** Stores reports as objects of a bucket. All methods but `check` throw `ApiError` STORAGE_UNAVAILABLE. */
export class S3Storage implements ReportStorage {
  readonly #client: S3Client
  readonly #bucket: string
  readonly #prefix: string

  constructor({ bucket, prefix, endpoint, region }: BucketLocation) {
    this.#bucket = bucket
    this.#prefix = prefix
    this.#client = new S3Client({
      region,
      // Storages other than that of AWS have no names for buckets.
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      // The signature of a request contains the SHA-256 of its content. Not all storages know further checksums.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        throwOnRequestTimeout: true,
        // A connection is silent while the client of a download reads nothing.
        socketTimeout: 0,
        // By default, the 51st download would wait for another one to end.
        httpAgent: { maxSockets: Infinity },
        httpsAgent: { maxSockets: Infinity }
      }
    })
  }

  /** Makes each kind of request once, so that a right that the credentials lack stops the start, not a report. */
  async check(): Promise<void> {
    const name = storedName('check.csv', randomUUID())
    const content = Buffer.from('check')
    try {
      await this.write(name, (target) => pipeline([content], target))
      const stored = await this.read(name)
      if (!stored || !content.equals(await buffer(stored)))
        throw new ConfigError('REPORTS_URL is not valid: the storage does not return what was stored')
      const command = new CreateMultipartUploadCommand(this.#object(name))
      await reachStorage((options) => this.#client.send(command, options))
      await this.remove(name)
      await this.#listObjects(undefined)
    } catch (error) {
      throw toConfigError(error)
    }
  }

  async write(name: string, fill: (target: Writable) => Promise<void>): Promise<void> {
    const upload = new S3Upload(this.#client, this.#object(name))
    try {
      await fill(upload)
      await upload.publish()
    } finally {
      await upload.settle()
    }
  }

  async read(name: string, part?: ByteRange): Promise<Readable | undefined> {
    const command = new GetObjectCommand({
      ...this.#object(name),
      ...(part ? { Range: `bytes=${part.start}-${part.end}` } : {})
    })
    try {
      const { Body } = await reachStorage((options) => this.#client.send(command, options))
      return Body instanceof Readable ? explainErrors(Body) : undefined
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async has(name: string): Promise<boolean> {
    const command = new HeadObjectCommand(this.#object(name))
    try {
      await reachStorage((options) => this.#client.send(command, options))
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  async remove(name: string): Promise<void> {
    const command = new DeleteObjectCommand(this.#object(name))
    await reachStorage((options) => this.#client.send(command, options))
    for await (const { Key, UploadId } of this.#uploads(this.#prefix + name)) {
      const abort = new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key, UploadId })
      await reachStorage((options) => this.#client.send(abort, options)).catch((error) => {
        if (!isMissing(error)) throw error
      })
    }
  }

  async *listOlderThan(time: number): AsyncIterable<string> {
    let token: string | undefined
    do {
      const page = await this.#listObjects(token)
      for (const { Key = '', LastModified } of page.Contents ?? [])
        if (LastModified && LastModified.getTime() < time) yield this.#name(Key)
      token = page.NextContinuationToken
    } while (token !== undefined)
    for await (const { Key = '', Initiated } of this.#uploads(this.#prefix))
      if (Initiated && Initiated.getTime() < time) yield this.#name(Key)
  }

  signLink(name: string, filename: string): Promise<string> {
    const command = new GetObjectCommand({
      ...this.#object(name),
      ResponseContentType: 'text/csv; charset=utf-8',
      ResponseContentDisposition: `attachment; filename="${filename}"`
    })
    return getSignedUrl(this.#client, command, { expiresIn: REPORT_REDIRECT_SECONDS })
  }

  #object(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + name }
  }

  #name(key: string): string {
    return key.slice(this.#prefix.length)
  }

  #listObjects(token: string | undefined): Promise<ListObjectsV2CommandOutput> {
    const command = new ListObjectsV2Command({
      Bucket: this.#bucket,
      Prefix: this.#prefix,
      Delimiter: '/',
      ContinuationToken: token
    })
    return reachStorage((options) => this.#client.send(command, options))
  }

  /** The uploads in progress of keys that begin with `prefix`. */
  async *#uploads(prefix: string): AsyncIterable<MultipartUpload> {
    let next: ListMultipartUploadsCommandInput | undefined
    next = { Bucket: this.#bucket, Prefix: prefix, Delimiter: '/' }
    while (next) {
      const page = await this.#listUploads(next)
      yield* page.Uploads ?? []
      // Without the marker of uploads, which some storages refuse. It matters for a key with many uploads alone.
      next = page.IsTruncated ? { ...next, KeyMarker: page.NextKeyMarker } : undefined
    }
  }

  #listUploads(input: ListMultipartUploadsCommandInput): Promise<ListMultipartUploadsCommandOutput> {
    const command = new ListMultipartUploadsCommand(input)
    return reachStorage((options) => this.#client.send(command, options))
  }
}
