import { createHash } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest, FastifySchema, FastifySchemaCompiler } from 'fastify'
import type { Slug } from '../../schemas/common.ts'
import { IdempotencyKeyHeadersSchema } from '../../schemas/idempotency.ts'
import {
  type AddedMembers,
  AddedMembersSchema,
  type ImportAccount,
  type ImportQuery,
  ImportQuerySchema,
  KnownUsersSchema,
  membershipsUpload,
  RemovedMembersSchema,
  ReplacedMembersSchema,
  ReplacementQuerySchema,
  usersUpload
} from '../../schemas/imports.ts'
import { type SegmentParams, SegmentParamsSchema } from '../../schemas/segments.ts'
import { withWriteToken } from '../../schemas/write-tokens.ts'
import type { Pool, Transaction } from '../database/connect.ts'
import { retryIdempotent } from '../database/retry.ts'
import { conflictResponse, unknownSegment } from '../http/common-responses.ts'
import {
  type ApiError,
  bodyTooLarge,
  databaseUnavailable,
  linesRejected,
  segmentIsHoldout,
  segmentNotFound,
  unsupportedMediaType
} from '../http/errors.ts'
import { hasKey, writeOnce } from '../http/idempotency.ts'
import { refuseCompressed } from '../http/strict-requests.ts'
import { trackWrites } from '../http/write-tokens.ts'
import { BULK_STATEMENT_TIMEOUT_MS, MAX_SHOWN_LINES, MAX_UPLOAD_BYTES, UPLOAD_TIMEOUT_MS } from '../limits.ts'
import { addRejectedLines, type Gathered, gatherUpload, type LineOptions, uploadForms } from './gather.ts'
import { LinesLost } from './line-queries.ts'
import {
  type ImportedMembers,
  type ImportOptions,
  importMembers,
  importRemovals,
  importUsers
} from './queries.ts'
import { MAX_UPLOAD_SIZE } from './receive.ts'
import { replaceMembers } from './replacement-queries.ts'
import {
  mediaTypeMessage,
  mediaTypes,
  replacementConflict,
  uploadDescription,
  uploadErrors
} from './responses.ts'
import { renewStatistics } from './statistics-queries.ts'
import { checkReplaceable, findSegment, type TargetSegment } from './target-queries.ts'
import { GZIP, openUpload, type UploadBody } from './upload-body.ts'

const config = {
  role: 'editor',
  arrival: UPLOAD_TIMEOUT_MS,
  deadline: UPLOAD_TIMEOUT_MS + BULK_STATEMENT_TIMEOUT_MS
} as const

/** How the lines of uploads of ids are read. */
const ids: LineOptions = { allowsExpiry: false, isNumbered: false }

/** Rejects a request by its headers, before the upload is read. */
function refuseHeaders(request: FastifyRequest): void {
  refuseCompressed(request, GZIP)
  if (Number(request.headers['content-length'] ?? 0) > MAX_UPLOAD_BYTES) throw bodyTooLarge(MAX_UPLOAD_SIZE)
}

function refuseLines(account: ImportAccount): ApiError {
  const { rejected, lines } = account
  const [first] = rejected.first
  const example = first ? `, line ${first.line} (${first.value}) ${first.reason}` : ''
  return linesRejected(
    `nothing has changed, as lines were rejected: ${rejected.count} of ${lines}${example}`,
    account
  )
}

/** @throws {ApiError} SEGMENT_IS_HOLDOUT. */
function checkAddable({ is_holdout }: TargetSegment, slug: Slug): void {
  if (is_holdout) throw segmentIsHoldout(slug)
}

function accountForAdded(
  { accepted, rejected }: Gathered,
  { added, newUsers, late, conflicting }: ImportedMembers
): AddedMembers {
  return {
    lines: accepted + rejected.count,
    added,
    already_members: accepted - late.count - conflicting.count - added,
    new_users: newUsers,
    rejected: addRejectedLines(rejected, late, conflicting)
  }
}

export const importRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.removeAllContentTypeParsers()
  // The handlers read the request themselves.
  app.addContentTypeParser(mediaTypes, (_request, _body, done) => done(null, undefined))
  app.addContentTypeParser('*', (_request, _body, done) => done(unsupportedMediaType(mediaTypeMessage)))
  app.addHook('preValidation', (request, _reply, done) => {
    refuseHeaders(request)
    done()
  })

  /** Skips validation of the body, which is a stream; all other parts are validated as usual. */
  const validatorCompiler: FastifySchemaCompiler<FastifySchema> = (route) => {
    if (route.httpPart === 'body') return () => true
    if (!app.validatorCompiler) throw new Error('the common validator is not made yet')
    return app.validatorCompiler(route)
  }

  /** Stores the lines of the upload in the database, then applies them. */
  async function takeUpload<Account extends ImportAccount>(
    request: FastifyRequest,
    reply: FastifyReply,
    { dry_run, on_error }: ImportQuery,
    lineOptions: LineOptions,
    takeEffect: (db: Pool | Transaction, gathered: Gathered, options: ImportOptions) => Promise<Account>
  ): Promise<Account> {
    const { raw, actor, ip } = request
    const isDryRun = dry_run
    const skip = on_error === 'skip'
    let body: UploadBody | undefined
    try {
      return await app.imports.run(actor?.name ?? ip, async (importId) => {
        const { gaveUp } = app.shutdown
        const digest = hasKey(request) ? createHash('sha256') : undefined
        body = await openUpload(request, gaveUp)
        const { mediaType, chunks } = body
        const form = uploadForms[mediaType]
        if (!form) throw unsupportedMediaType(mediaTypeMessage)
        const gathered = await gatherUpload(app.bulk, importId, chunks, form, lineOptions, gaveUp, digest)
        // Without new statistics, an upload takes effect as well, only later.
        await renewStatistics(app.bulk).catch((error: Error) =>
          request.log.warn({ err: error }, 'statistics were not renewed')
        )
        const isRefused = gathered.rejected.count > 0 && !skip
        const countOnly = isDryRun || isRefused
        const pool = trackWrites(app.bulk, reply)
        const options = { ...gathered, countOnly, skip, actor: actor?.name ?? null }
        const write = async (db: Pool | Transaction) => {
          const account = await takeEffect(db, gathered, options)
          if (account.rejected.count > 0 && !skip && !isDryRun) throw refuseLines(account)
          return { body: account }
        }
        return writeOnce(request, reply, pool, write, { bodyDigest: digest?.digest('hex') })
      })
    } catch (error) {
      throw error instanceof LinesLost ? databaseUnavailable(error) : error
    } finally {
      body?.close()
      // Discards the rest of a body that was not read to its end, so that the client receives the answer.
      raw.resume()
    }
  }

  /**
   * Reads the segment before the upload is read.
   *
   * @param check throws if the segment takes no such upload.
   * @returns the slug in upper case, and whether lines may be rejected because of the segment's exclusive group.
   * @throws {ApiError} SEGMENT_NOT_FOUND, or as `check` does, unless the request has a key: it may be a retry, and the
   * segment has changed since.
   */
  async function findTarget(
    params: SegmentParams,
    request: FastifyRequest,
    check: (segment: TargetSegment, slug: Slug) => void
  ): Promise<{ slug: Slug; isNumbered: boolean }> {
    const slug = params.slug.toUpperCase()
    const segment = await retryIdempotent(() => findSegment(app.reads, slug))
    if (!hasKey(request)) {
      if (!segment) throw segmentNotFound(slug)
      check(segment, slug)
    }
    return { slug, isNumbered: typeof segment?.group_id === 'number' }
  }

  app.post(
    '/segment/:slug/users',
    {
      config,
      validatorCompiler,
      schema: {
        operationId: 'addSegmentUsers',
        summary: 'Add many users to a segment',
        description:
          `${uploadDescription}\n\nUsers who are already in the segment stay as before, except that an \`expires_at\` in the ` +
          'upload is set again. Users who are seen for the first time become known, and are sampled for the segments ' +
          'that enroll new users.\n\nIf the segment is in an exclusive group, lines whose user is in another segment of ' +
          'it are rejected.',
        tags: ['segments'],
        params: SegmentParamsSchema,
        headers: IdempotencyKeyHeadersSchema,
        querystring: ImportQuerySchema,
        body: membershipsUpload,
        response: {
          200: withWriteToken(AddedMembersSchema),
          ...uploadErrors,
          404: unknownSegment,
          409: conflictResponse('UploadToHoldoutError', 'The segment is a holdout. Nothing has changed.', {
            SEGMENT_IS_HOLDOUT: segmentIsHoldout('AVITO_VOICE_MESSAGES').message
          })
        }
      }
    },
    async (request, reply) => {
      const { slug, isNumbered } = await findTarget(request.params, request, checkAddable)
      const lineOptions = { allowsExpiry: true, isNumbered }
      return takeUpload(request, reply, request.query, lineOptions, async (db, gathered, options) => {
        const imported = await importMembers(db, slug, options, MAX_SHOWN_LINES)
        if (!imported) throw segmentNotFound(slug)
        return accountForAdded(gathered, imported)
      })
    }
  )

  app.put(
    '/segment/:slug/users',
    {
      config,
      validatorCompiler,
      schema: {
        operationId: 'replaceSegmentUsers',
        summary: 'Replace the users of a segment',
        description:
          `${uploadDescription}\n\nThe users of the upload are the members of the segment from one moment on. Who is missing leaves, as ` +
          'if removed by name; who is new joins; who stays keeps the membership, with its expiry unless the upload gives ' +
          'another one. A user whose line is rejected is missing. `max_removed` protects from a file that is cut off.',
        tags: ['segments'],
        params: SegmentParamsSchema,
        headers: IdempotencyKeyHeadersSchema,
        querystring: ReplacementQuerySchema,
        body: membershipsUpload,
        response: {
          200: withWriteToken(ReplacedMembersSchema),
          ...uploadErrors,
          404: unknownSegment,
          409: replacementConflict
        }
      }
    },
    async (request, reply) => {
      const { slug, isNumbered } = await findTarget(request.params, request, checkReplaceable)
      const { max_removed: maxRemoved } = request.query
      const lineOptions = { allowsExpiry: true, isNumbered }
      return takeUpload(request, reply, request.query, lineOptions, async (db, gathered, options) => {
        const { accepted } = gathered
        const replaced = await replaceMembers(db, slug, { ...options, accepted, maxRemoved }, MAX_SHOWN_LINES)
        if (!replaced) throw segmentNotFound(slug)
        return { ...accountForAdded(gathered, replaced), removed: replaced.removed }
      })
    }
  )

  app.delete(
    '/segment/:slug/users',
    {
      config,
      validatorCompiler,
      schema: {
        operationId: 'removeSegmentUsers',
        summary: 'Remove many users from a segment',
        description: `${uploadDescription}\n\nUsers who are not in the segment are no error. Unknown users stay unknown.`,
        tags: ['segments'],
        params: SegmentParamsSchema,
        headers: IdempotencyKeyHeadersSchema,
        querystring: ImportQuerySchema,
        body: usersUpload,
        response: { 200: withWriteToken(RemovedMembersSchema), ...uploadErrors, 404: unknownSegment }
      }
    },
    async (request, reply) => {
      const { slug } = await findTarget(request.params, request, () => {})
      return takeUpload(request, reply, request.query, ids, async (db, { accepted, rejected }, options) => {
        const removed = await importRemovals(db, slug, options)
        if (removed === undefined) throw segmentNotFound(slug)
        return { lines: accepted + rejected.count, removed, not_members: accepted - removed, rejected }
      })
    }
  )

  app.post(
    '/users',
    {
      config,
      validatorCompiler,
      schema: {
        operationId: 'addUsers',
        summary: 'Make many users known',
        description: `${uploadDescription}\n\nUsers who are seen for the first time are sampled for the segments that enroll new users.`,
        tags: ['segments'],
        headers: IdempotencyKeyHeadersSchema,
        querystring: ImportQuerySchema,
        body: usersUpload,
        response: { 200: withWriteToken(KnownUsersSchema), ...uploadErrors }
      }
    },
    async (request, reply) =>
      takeUpload(request, reply, request.query, ids, async (db, { accepted, rejected }, options) => {
        const newUsers = await importUsers(db, options)
        return {
          lines: accepted + rejected.count,
          new_users: newUsers,
          already_known: accepted - newUsers,
          rejected
        }
      })
  )
}
