/**
 * A plain implementation of the membership lookup: validation, one query per request and a response schema. The
 * comparison shows what the batching of the service's route is worth.
 */
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import postgres from 'postgres'
import { RequestLog } from '../../src/telemetry/request-log.ts'

process.once('disconnect', () => process.exit())
const sql = postgres(process.env.DATABASE_URL ?? '', { max: 10 })
const app = Fastify({
  logger: { level: 'info' },
  logController: new RequestLog()
}).withTypeProvider<TypeBoxTypeProvider>()

app.get(
  '/api/v1/segments/user/:user_id',
  {
    schema: {
      params: Type.Object({ user_id: Type.Integer({ minimum: 1 }) }),
      response: {
        200: Type.Array(Type.String()),
        404: Type.Object({ message: Type.String() })
      }
    }
  },
  async (request, reply) => {
    const { user_id: userId } = request.params
    const [user] = await sql<{ slugs: string[] }[]>`
      select array(
        select slug
        from periods
        where periods.user_id = users.id
          and active
        order by segment_id
      ) as slugs
      from users
      where id = ${userId}`
    if (!user) return reply.status(404).send({ message: `user with id (${userId}) not found` })
    return user.slugs
  }
)

process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }))
