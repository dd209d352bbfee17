import { Writable } from 'node:stream'
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand
} from '@aws-sdk/client-s3'
import { answerOf, LONG, reachStorage } from './s3-requests.ts'

/** The smallest part that S3 accepts, but for the last one. Some storages want all parts to have the same size. */
const PART_BYTES = 5 * 2 ** 20

/**
 * Uploads what is written to it, in parts: one part is sent while the next one fills, so it takes the memory of two
 * parts. Nothing appears before `publish`. After a failure, the upload has to be removed when it has settled.
 */
export class S3Upload extends Writable {
  readonly #client: S3Client
  readonly #object: { Bucket: string; Key: string }
  #uploadId: string | undefined
  #part = Buffer.allocUnsafe(PART_BYTES)
  /** Bytes of `#part`. */
  #filled = 0
  #bytes = 0
  readonly #parts: CompletedPart[] = []
  /** The part that is being sent. */
  #sending = Promise.resolve()

  constructor(client: S3Client, object: { Bucket: string; Key: string }) {
    super()
    this.#client = client
    this.#object = object
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#take(chunk).then(() => done(), done)
  }

  /** Makes the object appear, with everything that has been written. Call this when the stream has finished. */
  async publish(): Promise<void> {
    if (this.#bytes < PART_BYTES) {
      const Body = this.#part.subarray(0, this.#filled)
      await reachStorage(
        (options) => this.#client.send(new PutObjectCommand({ ...this.#object, Body }), options),
        LONG
      )
      return
    }
    if (this.#filled > 0) await this.#startSending()
    await this.#sending
    const command = new CompleteMultipartUploadCommand({
      ...this.#object,
      UploadId: this.#uploadId,
      MultipartUpload: { Parts: this.#parts }
    })
    try {
      await reachStorage((options) => this.#client.send(command, options), LONG)
    } catch (error) {
      // An attempt whose answer was lost may have succeeded. Then some storages no longer know the upload.
      if (answerOf(error)?.code !== 'NoSuchUpload' || !(await this.#isPublished())) throw error
    }
  }

  /** Resolves when no part is being sent any more. One that arrives after the upload has been removed could stay. */
  async settle(): Promise<void> {
    await this.#sending.catch(() => {})
  }

  async #take(chunk: Buffer): Promise<void> {
    this.#bytes += chunk.length
    let rest = chunk
    while (rest.length > 0) {
      const taken = rest.copy(this.#part, this.#filled)
      this.#filled += taken
      rest = rest.subarray(taken)
      if (this.#filled === PART_BYTES) await this.#startSending()
    }
  }

  /** Starts to send the part, as soon as the previous one has been sent. */
  async #startSending(): Promise<void> {
    await this.#sending
    const body = this.#part.subarray(0, this.#filled)
    this.#part = Buffer.allocUnsafe(PART_BYTES)
    this.#filled = 0
    this.#sending = this.#send(body)
    // The next one who waits for it gets the error.
    this.#sending.catch(() => {})
  }

  async #send(Body: Buffer): Promise<void> {
    this.#uploadId ??= await this.#begin()
    const part = { UploadId: this.#uploadId, PartNumber: this.#parts.length + 1 }
    const { ETag } = await reachStorage(
      (options) => this.#client.send(new UploadPartCommand({ ...this.#object, ...part, Body }), options),
      LONG
    )
    this.#parts.push({ PartNumber: part.PartNumber, ETag })
  }

  async #begin(): Promise<string | undefined> {
    const command = new CreateMultipartUploadCommand(this.#object)
    const { UploadId } = await reachStorage((options) => this.#client.send(command, options))
    return UploadId
  }

  async #isPublished(): Promise<boolean> {
    const { ContentLength } = await reachStorage((options) =>
      this.#client.send(new HeadObjectCommand(this.#object), options)
    )
    return ContentLength === this.#bytes
  }
}
