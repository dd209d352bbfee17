/** Sends one delivery to its receiver. */
import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { LookupFunction } from 'node:net'
import packageJson from '../../package.json' with { type: 'json' }
import { MAX_WEBHOOK_ANSWER_BYTES, WEBHOOK_TIMEOUT_MS } from '../limits.ts'
import { PrivateAddressError, resolveHost } from './addresses.ts'

export type DeliveryFailure = {
  /** Null if the receiver did not answer. */
  status: number | null
  message: string
  /** Milliseconds for which the receiver asks to wait. */
  retryAfter?: number | undefined
}

/** Connects to addresses that have been checked, without looking the name up again. */
function connectTo(addresses: LookupAddress[]): LookupFunction {
  return (_hostname, { all }, callback) => {
    const [first] = addresses
    if (all || !first) callback(null, addresses)
    else callback(null, first.address, first.family)
  }
}

/** Milliseconds of a `Retry-After`, which is a number of seconds or a date. */
function readRetryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const time = Date.parse(header)
  return Number.isNaN(time) ? undefined : Math.max(0, time - Date.now())
}

/** Reads the rest of an answer up to a bound, and throws it away. Its status has come, whatever happens to the rest. */
async function discard(response: IncomingMessage): Promise<void> {
  let bytes = 0
  try {
    for await (const chunk of response) {
      bytes += chunk.length
      if (bytes > MAX_WEBHOOK_ANSWER_BYTES) break
    }
  } catch {}
}

function describeFailure(error: unknown): string {
  if (error instanceof PrivateAddressError) return error.message
  if (!(error instanceof Error)) return 'the connection failed'
  if (error.name === 'AbortError' || error.name === 'TimeoutError')
    return `no answer within ${WEBHOOK_TIMEOUT_MS / 1000} seconds`
  const code = 'code' in error ? String(error.code) : error.name
  return 'syscall' in error && error.syscall === 'getaddrinfo'
    ? `the name of the host cannot be resolved (${code})`
    : `the connection failed (${code})`
}

/** Rejects when the signal aborts. */
function rejectOn(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  return promise
}

async function post(
  url: URL,
  headers: Record<string, string>,
  body: Buffer,
  allowsPrivate: boolean
): Promise<IncomingMessage> {
  const signal = AbortSignal.timeout(WEBHOOK_TIMEOUT_MS)
  const addresses = await Promise.race([resolveHost(url, allowsPrivate), rejectOn(signal)])
  const request = url.protocol === 'https:' ? requestHttps : requestHttp
  const sent = request(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'content-length': body.length,
      'user-agent': `user-segments/${packageJson.version}`,
      ...headers
    },
    // A new connection for each delivery: the address has been checked for this one.
    agent: false,
    lookup: connectTo(addresses),
    signal
  })
  // Errors before the answer reject below; later ones have no effect.
  sent.on('error', () => {})
  sent.end(body)
  const [response] = (await once(sent, 'response', { signal })) as [IncomingMessage]
  await discard(response)
  return response
}

/**
 * Sends a delivery, and follows no redirect. Takes WEBHOOK_TIMEOUT_MS at most.
 *
 * @param allowsPrivate whether the host may be in a private network.
 * @returns undefined if the receiver has answered 2xx.
 */
export async function deliver(
  url: URL,
  headers: Record<string, string>,
  body: Buffer,
  allowsPrivate: boolean
): Promise<DeliveryFailure | undefined> {
  try {
    const response = await post(url, headers, body, allowsPrivate)
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return undefined
    const isRedirect = status >= 300 && status < 400
    return {
      status,
      message: `the receiver answered ${status}${isRedirect ? ': redirects are not followed' : ''}`,
      retryAfter: readRetryAfter(response.headers['retry-after'])
    }
  } catch (error) {
    return { status: null, message: describeFailure(error) }
  }
}
