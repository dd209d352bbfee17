import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { KeySchema } from '../../schemas/keys.ts'
import { overloadErrors } from '../http/common-responses.ts'

/** Without keys, every caller may do everything. */
const everybody = { name: null, role: 'admin' } as const

/** Tells a caller what its key is, so that a client shows only what the key may do. */
export const keyRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/key',
    {
      config: { role: 'reader' },
      schema: {
        operationId: 'getKey',
        summary: 'Get the name and the role of the key of this request',
        description: 'A client learns from it what it may do. It also answers without the database.',
        tags: ['operation'],
        response: { 200: KeySchema, ...overloadErrors }
      }
    },
    async ({ actor = everybody }) => actor
  )
}
