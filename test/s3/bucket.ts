import { randomBytes } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client
} from '@aws-sdk/client-s3'
import type { Test } from 'tap'

/** The prefix of the reports in the bucket. */
const PREFIX = 'some/prefix/'

/** A bucket of the real storage, and what is in it. */
export class Bucket {
  readonly name: string
  /** The URL of the storage. */
  readonly endpoint: string
  readonly #client: S3Client

  constructor(name: string, endpoint: string) {
    this.name = name
    this.endpoint = endpoint
    this.#client = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true })
  }

  /** The configuration of a service whose reports are in the bucket. */
  configuration(endpoint = this.endpoint) {
    return { REPORTS_URL: `s3://${this.name}/${PREFIX}`, S3_ENDPOINT: endpoint }
  }

  async create(): Promise<void> {
    await this.#client.send(new CreateBucketCommand({ Bucket: this.name }))
  }

  /** The names of the reports. */
  async objects(): Promise<string[]> {
    const { Contents = [] } = await this.#client.send(
      new ListObjectsV2Command({ Bucket: this.name, Prefix: PREFIX })
    )
    return Contents.map(({ Key = '' }) => Key.slice(PREFIX.length))
  }

  /** The names of the reports that are being uploaded. */
  async uploads(): Promise<string[]> {
    const { Uploads = [] } = await this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.name }))
    return Uploads.map(({ Key = '' }) => Key.slice(PREFIX.length))
  }

  async put(name: string): Promise<void> {
    await this.#client.send(new PutObjectCommand({ Bucket: this.name, Key: PREFIX + name, Body: 'x' }))
  }

  /** Begins an upload that nobody ends. */
  async beginUpload(name: string): Promise<void> {
    await this.#client.send(new CreateMultipartUploadCommand({ Bucket: this.name, Key: PREFIX + name }))
  }

  async remove(name: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.name, Key: PREFIX + name }))
  }

  /** Removes the bucket and everything in it. */
  async destroy(): Promise<void> {
    const inBucket = { Bucket: this.name }
    // An answer lists up to 1,000.
    for (;;) {
      const { Contents = [] } = await this.#client.send(new ListObjectsV2Command(inBucket))
      const { Uploads = [] } = await this.#client.send(new ListMultipartUploadsCommand(inBucket))
      if (Contents.length === 0 && Uploads.length === 0) break
      for (const { Key } of Contents) await this.#client.send(new DeleteObjectCommand({ ...inBucket, Key }))
      for (const { Key, UploadId } of Uploads)
        await this.#client.send(new AbortMultipartUploadCommand({ ...inBucket, Key, UploadId }))
    }
    await this.#client.send(new DeleteBucketCommand(inBucket))
  }
}

/** Creates a bucket for one test. It is removed after the test. */
export async function createBucket(t: Test): Promise<Bucket> {
  const endpoint = process.env.S3_ENDPOINT
  if (!endpoint) throw new Error('Run these tests with `npm run test:s3`: it brings their storage')
  const bucket = new Bucket(`test-${randomBytes(8).toString('hex')}`, endpoint)
  await bucket.create()
  t.teardown(() => bucket.destroy())
  return bucket
}
