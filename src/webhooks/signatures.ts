/** Secrets and signatures of Standard Webhooks: https://www.standardwebhooks.com */
import { createHmac, hash, randomBytes } from 'node:crypto'

const PREFIX = 'whsec_'
const SECRET_BYTES = 32
const MIN_SECRET_BYTES = 24
const MAX_SECRET_BYTES = 64

export function makeSecret(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64')
}

const keyOf = (secret: string) => Buffer.from(secret.slice(PREFIX.length), 'base64')

/** Whether a secret is one of Standard Webhooks: 24 to 64 bytes in base64. */
export function isSecret(secret: string): boolean {
  const key = keyOf(secret)
  const isLongEnough = key.length >= MIN_SECRET_BYTES && key.length <= MAX_SECRET_BYTES
  return isLongEnough && secret.replace(/=+$/, '') === (PREFIX + key.toString('base64')).replace(/=+$/, '')
}

/** The id of the batch between two cursors of a webhook. It is the same on each attempt, on every instance. */
export function batchId(webhook: string, from: string, to: string): string {
  return `msg_${hash('sha256', JSON.stringify([webhook, from, to]), 'base64url').slice(0, 22)}`
}

/** The headers by which the receiver knows that a delivery is genuine, and which one it is. */
export function signDelivery(secret: string, id: string, body: Buffer, now: number): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000))
  const signature = createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.`).update(body)
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature.digest('base64')}`
  }
}
