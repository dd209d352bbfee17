import { S3ServiceException } from '@aws-sdk/client-s3'
import { storageUnavailable } from '../http/errors.ts'
import {
  PART_ATTEMPT_TIMEOUT_MS,
  PART_TIMEOUT_MS,
  STORAGE_ATTEMPT_TIMEOUT_MS,
  STORAGE_TIMEOUT_MS
} from '../limits.ts'

type RequestOptions = { abortSignal: AbortSignal; requestTimeout: number }

/** How long a request may take, in milliseconds: each attempt, and all attempts together. */
type RequestLimits = { attempt: number; total: number }

/** For requests that an API request waits for. */
const SHORT: RequestLimits = { attempt: STORAGE_ATTEMPT_TIMEOUT_MS, total: STORAGE_TIMEOUT_MS }
/** For requests that carry a part of a report, or join the parts. */
export const LONG: RequestLimits = { attempt: PART_ATTEMPT_TIMEOUT_MS, total: PART_TIMEOUT_MS }

/**
 * Sends a request to the object storage. The client repeats it after brief faults. When this resolves, the limits no
 * longer apply: the content of an object may take as long as its reader takes.
 *
 * @param request sends it with the given options.
 * @throws {ApiError} STORAGE_UNAVAILABLE, with the error of the client as its cause.
 */
export async function reachStorage<T>(
  request: (options: RequestOptions) => Promise<T>,
  limits = SHORT
): Promise<T> {
  const overdue = new AbortController()
  const timer = setTimeout(() => overdue.abort(), limits.total)
  try {
    return await request({ abortSignal: overdue.signal, requestTimeout: limits.attempt })
  } catch (error) {
    throw storageUnavailable(error)
  } finally {
    clearTimeout(timer)
  }
}

/** The answer of the storage that an error of {@link reachStorage} is due to; undefined if there was no answer. */
export function answerOf(error: unknown): { status: number | undefined; code: string } | undefined {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof S3ServiceException
    ? { status: cause.$metadata.httpStatusCode, code: cause.name }
    : undefined
}
