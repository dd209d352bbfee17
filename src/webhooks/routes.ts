import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { emptyResponse, errorResponse } from '../../schemas/common.ts'
import { IdempotencyKeyHeadersSchema, withReplay } from '../../schemas/idempotency.ts'
import {
  ChangeWebhookBodySchema,
  CreatedWebhookSchema,
  CreateWebhookBodySchema,
  WebhookParamsSchema,
  WebhookSchema,
  WebhooksSchema
} from '../../schemas/webhooks.ts'
import { encodeChangeCursor } from '../database/change-states.ts'
import { retryIdempotent } from '../database/retry.ts'
import { readCursor } from '../http/change-cursors.ts'
import {
  commonBodyErrors,
  commonErrors,
  conflictResponse,
  idempotencyErrors
} from '../http/common-responses.ts'
import {
  cursorExpired,
  duplicateSlug,
  invalidChangeCursor,
  invalidRequest,
  segmentsNotFound,
  tooManyWebhooks,
  webhookNotFound
} from '../http/errors.ts'
import { writeOnce } from '../http/idempotency.ts'
import { refuseDuplicates } from '../http/slugs.ts'
import { MAX_WEBHOOKS } from '../limits.ts'
import { addressOf, isPublicAddress } from './addresses.ts'
import { parseCursor } from './batches.ts'
import {
  activateWebhook,
  createWebhook,
  deleteWebhook,
  pauseWebhook,
  selectSecret,
  selectWebhook,
  selectWebhooks
} from './queries.ts'
import { isSecret, makeSecret } from './signatures.ts'

const unknownWebhook = errorResponse('WebhookNotFoundError', 'There is no such webhook.', {
  WEBHOOK_NOT_FOUND: webhookNotFound('1').message
})

/** The tokens of membership reads say nothing about webhooks. */
const withoutToken = { hasToken: false }

/** @throws {ApiError} INVALID_REQUEST if nothing can be delivered to the URL. Names are resolved at each delivery. */
function checkUrl(text: string, allowsPrivate: boolean): void {
  const url = URL.parse(text)
  if (!url) throw invalidRequest('body field (url) must be a URL')
  if (url.username !== '' || url.password !== '')
    throw invalidRequest('body field (url) must not contain a user name or a password')
  const address = addressOf(url)
  if (!allowsPrivate && address !== undefined && !isPublicAddress(address))
    throw invalidRequest('body field (url) must not have an address of a private network')
}

/** @param allowsPrivate whether receivers may be in private networks. */
export const webhookRoutes: FastifyPluginAsyncTypebox<{ allowsPrivate: boolean }> = async (
  app,
  { allowsPrivate }
) => {
  app.post(
    '/webhooks',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'createWebhook',
        summary: 'Create a webhook',
        description:
          'Changes that are committed from now on are delivered to its URL, in their order: a POST with the JSON that ' +
          '`GET /changes` answers. Deliveries are signed as in Standard Webhooks. One that is not answered 2xx within 15 ' +
          'seconds is repeated for three days. There may be 50 webhooks.',
        tags: ['changes'],
        headers: IdempotencyKeyHeadersSchema,
        body: CreateWebhookBodySchema,
        response: {
          201: withReplay({
            ...CreatedWebhookSchema,
            headers: {
              Location: { type: 'string', description: 'Its path.', examples: ['/api/v1/webhooks/1'] }
            }
          }),
          ...commonErrors,
          ...commonBodyErrors,
          ...idempotencyErrors,
          400: errorResponse('InvalidWebhookError', 'The request is not valid.', {
            INVALID_REQUEST: 'body field (url) must not contain a user name or a password',
            INVALID_JSON: 'the body is not valid JSON',
            INVALID_UTF8: 'the body is not valid UTF-8',
            DUPLICATE_SLUG: duplicateSlug('AVITO_VOICE_MESSAGES').message
          }),
          404: errorResponse('WebhookSegmentsNotFoundError', 'Some segments do not exist, or are deleted.', {
            SEGMENTS_NOT_FOUND: segmentsNotFound([]).message
          }),
          409: conflictResponse('TooManyWebhooksError', 'There are too many webhooks.', {
            TOO_MANY_WEBHOOKS: tooManyWebhooks(MAX_WEBHOOKS).message
          })
        }
      }
    },
    async (request, reply) => {
      const { url, secret: given } = request.body
      checkUrl(url, allowsPrivate)
      const segments = request.body.segments?.map((slug) => slug.toUpperCase()) ?? null
      refuseDuplicates(segments ?? [])
      if (given !== undefined && !isSecret(given))
        throw invalidRequest('body field (secret) must be whsec_ and 24 to 64 bytes in base64')
      const createdBy = request.actor?.name ?? null
      const webhook = await writeOnce(
        request,
        reply,
        app.writes,
        async (db) => {
          const created = await createWebhook(db, { url, segments, secret: given ?? makeSecret(), createdBy })
          if (created === 'too many') throw tooManyWebhooks(MAX_WEBHOOKS)
          if ('missing' in created) throw segmentsNotFound(created.missing)
          return { status: 201, headers: { location: `/api/v1/webhooks/${created.id}` }, body: created }
        },
        withoutToken
      )
      app.webhookPusher.wake()
      // The answer that is stored for the key has no secret: a replay reads it from the webhook, if it still exists.
      const made =
        given === undefined ? await retryIdempotent(() => selectSecret(app.writes, webhook.id)) : undefined
      return reply.send({ ...webhook, secret: made ?? null })
    }
  )

  app.get(
    '/webhooks',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'listWebhooks',
        summary: 'List webhooks',
        description: 'All webhooks, the oldest first, with their state, their lag and their last error.',
        tags: ['changes'],
        response: { 200: WebhooksSchema, ...commonErrors }
      }
    },
    async () => ({ webhooks: await retryIdempotent(() => selectWebhooks(app.reads)) })
  )

  app.get(
    '/webhooks/:id',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'getWebhook',
        summary: 'Get a webhook',
        description: 'Its state, its lag and its last error.',
        tags: ['changes'],
        params: WebhookParamsSchema,
        response: { 200: WebhookSchema, ...commonErrors, 404: unknownWebhook }
      }
    },
    async (request) => {
      const { id } = request.params
      const webhook = await retryIdempotent(() => selectWebhook(app.reads, id))
      if (!webhook) throw webhookNotFound(id)
      return webhook
    }
  )

  app.patch(
    '/webhooks/:id',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'changeWebhook',
        summary: 'Pause a webhook, or resume it',
        description:
          'A webhook that is paused, by a request or after three days of failures, delivers nothing; a delivery that is in ' +
          'flight is finished. Once it is active, delivery continues where it ended, at once. With `after`, it continues ' +
          'after another cursor: an earlier one repeats changes.',
        tags: ['changes'],
        headers: IdempotencyKeyHeadersSchema,
        params: WebhookParamsSchema,
        body: ChangeWebhookBodySchema,
        response: {
          200: withReplay(WebhookSchema),
          ...commonErrors,
          ...commonBodyErrors,
          ...idempotencyErrors,
          400: errorResponse('InvalidWebhookChangeError', 'The request is not valid.', {
            INVALID_REQUEST: 'body field (state) must be active or paused',
            INVALID_JSON: 'the body is not valid JSON',
            INVALID_UTF8: 'the body is not valid UTF-8',
            INVALID_CURSOR: invalidChangeCursor('body field (after)').message
          }),
          404: unknownWebhook,
          410: errorResponse(
            'WebhookCursorExpiredError',
            'Changes after the cursor are no longer kept: `after` must be another one. Nothing has changed.',
            { CURSOR_EXPIRED: cursorExpired().message }
          )
        }
      }
    },
    async (request, reply) => {
      const { id } = request.params
      const { state, after } = request.body
      if (state === 'paused' && after !== undefined)
        throw invalidRequest('body field (after) needs the state (active)')
      const changed = await writeOnce(
        request,
        reply,
        app.writes,
        async (db) => {
          const webhook = await selectWebhook(db, id)
          if (!webhook) throw webhookNotFound(id)
          if (state === 'paused') await pauseWebhook(db, id)
          else {
            const cursor =
              after === undefined
                ? parseCursor(webhook.cursor)
                : await readCursor(db, after, 'body field (after)')
            await app.changeFeed.requireKept(db, cursor)
            await activateWebhook(db, id, after === undefined ? undefined : encodeChangeCursor(cursor))
          }
          const body = await selectWebhook(db, id)
          if (!body) throw webhookNotFound(id)
          return { body }
        },
        withoutToken
      )
      app.webhookPusher.wake()
      return changed
    }
  )

  app.delete(
    '/webhooks/:id',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'deleteWebhook',
        summary: 'Delete a webhook',
        description: 'A delivery that is in flight is finished, and is the last one. The secret is deleted.',
        tags: ['changes'],
        headers: IdempotencyKeyHeadersSchema,
        params: WebhookParamsSchema,
        response: {
          204: withReplay(emptyResponse('The webhook is deleted.')),
          ...commonErrors,
          ...commonBodyErrors,
          ...idempotencyErrors,
          404: unknownWebhook
        }
      }
    },
    async (request, reply) => {
      const { id } = request.params
      await writeOnce(
        request,
        reply,
        app.writes,
        async (db) => {
          if (!(await deleteWebhook(db, id))) throw webhookNotFound(id)
          return { status: 204, body: null }
        },
        withoutToken
      )
      return reply.send()
    }
  )
}
