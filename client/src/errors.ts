import type { components } from './contract.ts'

type Schemas = components['schemas']

/** Every error of the contract. */
type AnsweredError = {
  [Name in keyof Schemas]: Schemas[Name] extends { code: string; message: string } ? Schemas[Name] : never
}[keyof Schemas]

/** A code that the service answers. */
export type ServiceErrorCode = AnsweredError['code']

/**
 * A code of this client: no answer came, none came in time, or the answer is not one of the service, as from a proxy in
 * front of it.
 */
export type ClientErrorCode = 'CONNECTION_FAILED' | 'TIMEOUT' | 'UNEXPECTED_ANSWER'

export type ErrorCode = ServiceErrorCode | ClientErrorCode

/** The fields of an error besides its message and its code, such as `segments` of `SEGMENTS_NOT_FOUND`. */
export type ErrorDetails<Code extends ErrorCode> = AnsweredError extends infer Known
  ? Known extends { code: string }
    ? Code extends Known['code']
      ? Omit<Known, 'code' | 'message'>
      : never
    : never
  : never

type ErrorFields = {
  code: string
  status?: number | undefined
  requestId?: string | undefined
  retryAfter?: number | undefined
  details?: Readonly<Record<string, unknown>>
  cause?: unknown
}

/** The error of a request that the service refused, or did not answer. */
export class SegmentsError extends Error {
  override name = 'SegmentsError'
  /** What went wrong, for programs. Use {@link isSegmentsError} to compare it with a code of the contract. */
  readonly code: string
  /** The HTTP status; undefined if no answer came. */
  readonly status: number | undefined
  /** Identifies the request in the log of the service. */
  readonly requestId: string | undefined
  /** Seconds after which the same request may succeed, if the service said so. */
  readonly retryAfter: number | undefined
  /** The other fields of the answer. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(message: string, { code, status, requestId, retryAfter, details = {}, cause }: ErrorFields) {
    super(message, { cause })
    this.code = code
    this.status = status
    this.requestId = requestId
    this.retryAfter = retryAfter
    this.details = details
  }
}

/** Whether an error is one of this client, and has one of these codes, if any are given. It narrows `details`. */
export function isSegmentsError<Code extends ErrorCode>(
  error: unknown,
  ...codes: Code[]
): error is SegmentsError & { code: Code; details: ErrorDetails<Code> } {
  return error instanceof SegmentsError && (codes.length === 0 || codes.some((code) => code === error.code))
}

/** Reads `Retry-After`, in seconds: a number, or a date, which proxies send. */
function readRetryAfter(headers: Headers): number | undefined {
  const text = headers.get('retry-after')
  if (text === null) return undefined
  if (/^\d+$/.test(text)) return Number(text)
  const until = Date.parse(text)
  return Number.isNaN(until) ? undefined : Math.max(0, (until - Date.now()) / 1_000)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** Reads the error that the service has answered. */
export async function readError(response: Response): Promise<SegmentsError> {
  const { status, headers } = response
  const facts = {
    status,
    requestId: headers.get('x-request-id') ?? undefined,
    retryAfter: readRetryAfter(headers)
  }
  const body = parseJson(await response.text())
  if (isObject(body)) {
    const { message, code, ...details } = body
    if (typeof message === 'string' && typeof code === 'string') {
      return new SegmentsError(message, { ...facts, code, details })
    }
  }
  return new SegmentsError(`the answer with status ${status} is not one of the service`, {
    ...facts,
    code: 'UNEXPECTED_ANSWER'
  })
}

/** Reads the JSON of a successful answer. @throws {SegmentsError} UNEXPECTED_ANSWER */
export async function readJson<T>(response: Response): Promise<T> {
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch (cause) {
    const { status } = response
    throw new SegmentsError('the answer is not JSON', { code: 'UNEXPECTED_ANSWER', status, cause })
  }
}
