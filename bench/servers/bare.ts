/** Bare Fastify with a constant answer of the average size: the cost of HTTP and JSON alone. */
import { Type } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { segmentSlugs } from '../generate.ts'

process.once('disconnect', () => process.exit())
const answer = segmentSlugs.slice(0, 10)
const app = Fastify()

app.get(
  '/api/v1/segments/user/:user_id',
  { schema: { response: { 200: Type.Array(Type.String()) } } },
  async () => answer
)

process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }))
