import { hash } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { emptyResponse, SlugSchema } from '../../schemas/common.ts'
import {
  BulkEvaluationSchema,
  BulkHeadersSchema,
  BulkQuerySchema,
  EvaluationRequestSchema,
  EvaluationSchema,
  FlagParamsSchema
} from '../../schemas/ofrep.ts'
import { WriteTokensHeadersSchema } from '../../schemas/write-tokens.ts'
import { createLookup, LOOKUP_BATCHES } from '../database/lookups.ts'
import { commonBodyErrors, commonErrors } from '../http/common-responses.ts'
import { segmentNotFound, shorten, tooManyFlags } from '../http/errors.ts'
import { isKnown } from '../http/file-answer.ts'
import { forbidStoring } from '../http/no-store.ts'
import { readTokens } from '../http/write-tokens.ts'
import { MAX_BULK_EVALUATIONS_IN_FLIGHT, MAX_BULK_FLAGS, PAGE_STALL_TIMEOUT_MS } from '../limits.ts'
import { evaluationFailures, flagNotFound, sendFailure } from './failures.ts'
import { evaluateGroup, evaluateSegment, Flags } from './flags.ts'
import { selectFlagList, selectFlagSources } from './queries.ts'

const slugPattern = new RegExp(SlugSchema.pattern ?? '')

/** The key of the only value of a lookup. */
const ALL = 'all'

/**
 * The OpenFeature Remote Evaluation Protocol (OFREP): each segment is a flag that says whether the user is a member, and each
 * exclusive group one that says of which of its segments.
 */
export const ofrepRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { reads, readServers, lookUpActiveSegments } = app
  const lookUpFlagSource = createLookup(reads, readServers, selectFlagSources, LOOKUP_BATCHES)
  const lookUpFlagList = createLookup(
    reads,
    readServers,
    async (sql) => new Map([[ALL, await selectFlagList(sql)]]),
    LOOKUP_BATCHES
  )
  /** Made from the list that was read last. The list itself is read for every answer. */
  let flags = new Flags('')

  app.addHook('onRequest', forbidStoring)

  app.post(
    '/evaluate/flags/:slug',
    {
      config: { role: 'reader', acceptsKeyHeader: true },
      errorHandler: (error, request, reply) => sendFailure(error, request, reply, request.params.slug),
      schema: {
        operationId: 'evaluateFlag',
        summary: 'Evaluate one flag',
        description:
          'Whether the user of `targetingKey` is in the segment now, or in which segment of the exclusive group. A read sees every write that was answered before it ' +
          'began. For server-side providers of OpenFeature.',
        tags: ['openfeature'],
        headers: WriteTokensHeadersSchema,
        params: FlagParamsSchema,
        body: EvaluationRequestSchema,
        response: {
          200: EvaluationSchema,
          ...commonErrors,
          ...commonBodyErrors,
          ...evaluationFailures,
          404: flagNotFound
        }
      }
    },
    async (request) => {
      const { slug: key } = request.params
      if (!slugPattern.test(key)) throw segmentNotFound(shorten(key))
      const slug = key.toUpperCase()
      const tokens = readTokens(request.headers)
      const [active = '[]', source] = await Promise.all([
        lookUpActiveSegments(request.body.context.targetingKey, tokens),
        lookUpFlagSource(slug, tokens)
      ])
      const isIn = (segment: string) => active.includes(`"${segment}"`)
      const isMember = isIn(slug)
      if (!isMember && source === undefined) throw segmentNotFound(slug)
      const value =
        isMember || source === 'segment' ? evaluateSegment(isMember) : evaluateGroup(source?.find(isIn))
      return { key: slug, ...value, metadata: {} }
    }
  )

  app.post(
    '/evaluate/flags',
    {
      config: { role: 'reader', acceptsKeyHeader: true, maxInFlight: MAX_BULK_EVALUATIONS_IN_FLIGHT },
      errorHandler: (error, request, reply) => sendFailure(error, request, reply),
      schema: {
        operationId: 'evaluateFlags',
        summary: 'Evaluate all flags',
        description:
          'For each segment that is not deleted, whether the user of `targetingKey` is in it now, and for each exclusive ' +
          'group, in which of its segments. With `If-None-Match`, only if that has changed. For client-side providers of ' +
          `OpenFeature. At most ${MAX_BULK_FLAGS} segments and groups.`,
        tags: ['openfeature'],
        headers: BulkHeadersSchema,
        querystring: BulkQuerySchema,
        body: EvaluationRequestSchema,
        response: {
          200: {
            ...BulkEvaluationSchema,
            headers: {
              ETag: {
                type: 'string',
                description: 'Changes with the answer.',
                examples: ['"5d41402abc4b2a76b9719d911017c592"']
              }
            }
          },
          304: emptyResponse('The answer is the one that `If-None-Match` names.'),
          ...commonErrors,
          ...commonBodyErrors,
          ...evaluationFailures
        }
      }
    },
    async (request, reply) => {
      const tokens = readTokens(request.headers)
      const [active = '[]', list = ''] = await Promise.all([
        lookUpActiveSegments(request.body.context.targetingKey, tokens),
        lookUpFlagList(ALL, tokens)
      ])
      if (list !== flags.list) flags = new Flags(list)
      if (flags.count > MAX_BULK_FLAGS) throw tooManyFlags(MAX_BULK_FLAGS)
      const answer = flags.evaluate(active)
      const etag = `"${hash('sha256', answer)}"`
      reply.header('etag', etag)
      if (isKnown(request.headers['if-none-match'] ?? '', etag)) return reply.status(304).send()
      app.connections.limitStall(request.raw.socket, PAGE_STALL_TIMEOUT_MS)
      return reply.type('application/json; charset=utf-8').send(answer)
    }
  )
}
