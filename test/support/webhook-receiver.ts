import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { Webhook as Verifier } from 'standardwebhooks'
import type { Test } from 'tap'
import type { TestClient } from './client.ts'
import type { FeedPage } from './feed.ts'
import { waitUntil } from './service.ts'

/** A webhook as the API shows it. */
export type Webhook = {
  id: string
  url: string
  segments: string[] | null
  state: 'active' | 'paused'
  pause_reason: string | null
  paused_at: string | null
  cursor: string
  lag_seconds: number
  last_success_at: string | null
  last_error: { time: string; status: number | null; message: string } | null
  failures: number
  next_attempt_at: string | null
}

export type Delivery = { id: string; headers: IncomingHttpHeaders; text: string; page: FeedPage }

/** What the receiver does with a delivery: a status, or something else. */
export type Answer = number | ((response: ServerResponse) => void)

/** A receiver of deliveries. */
export class Receiver {
  readonly deliveries: Delivery[] = []
  readonly server: Server
  /** Answers the next deliveries. */
  answer: (delivery: Delivery) => Answer = () => 204

  constructor(create: (listener: RequestListener) => Server = createServer) {
    this.server = create((request, response) => void this.#receive(request, response))
  }

  url(host = '127.0.0.1', scheme = 'http'): string {
    return `${scheme}://${host}:${(this.server.address() as AddressInfo).port}/hook`
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request)
    const delivery = {
      id: String(request.headers['webhook-id']),
      headers: request.headers,
      text: body,
      page: JSON.parse(body) as FeedPage
    }
    const answer = this.answer(delivery)
    this.deliveries.push(delivery)
    if (typeof answer === 'function') answer(response)
    else response.writeHead(answer).end('thanks')
  }

  /** Waits for so many deliveries, and returns them. */
  async received(count: number): Promise<Delivery[]> {
    return waitUntil(
      async () => this.deliveries,
      ({ length }) => length >= count
    )
  }

  /** The types and users of all changes that have come. */
  get changes(): string[] {
    return this.deliveries.flatMap(({ page }) =>
      page.changes.map(({ type, user_id, slug }) => [type, user_id, slug].filter(Boolean).join(' '))
    )
  }
}

/** Starts a receiver on this machine. It ends with the test. */
export async function startReceiver(
  t: Test,
  create?: (listener: RequestListener) => Server
): Promise<Receiver> {
  const receiver = new Receiver(create)
  receiver.server.listen(0, '127.0.0.1')
  await once(receiver.server, 'listening')
  t.teardown(() => {
    receiver.server.closeAllConnections()
    receiver.server.close()
  })
  return receiver
}

/** Creates a webhook. Returns its id, and the secret if one was made. */
export async function createWebhook(
  http: TestClient,
  url: string,
  more: { segments?: string[]; secret?: string } = {}
): Promise<Webhook & { secret: string | null }> {
  const answer = await http.post('/api/v1/webhooks', { url, ...more })
  assert.equal(answer.status, 201, answer.text)
  return answer.json()
}

export async function readWebhook(http: TestClient, id: string): Promise<Webhook> {
  const answer = await http.get(`/api/v1/webhooks/${id}`)
  assert.equal(answer.status, 200, answer.text)
  return answer.json()
}

/** Waits until the webhook is as wanted. */
export function untilWebhook(
  http: TestClient,
  id: string,
  isWanted: (webhook: Webhook) => boolean
): Promise<Webhook> {
  return waitUntil(() => readWebhook(http, id), isWanted)
}

/** @throws {Error} if the signature is not that of the secret, by the reference implementation of Standard Webhooks. */
export function verify(secret: string, { headers, text }: Delivery): void {
  new Verifier(secret).verify(text, {
    'webhook-id': String(headers['webhook-id']),
    'webhook-timestamp': String(headers['webhook-timestamp']),
    'webhook-signature': String(headers['webhook-signature'])
  })
}
