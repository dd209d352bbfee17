import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import packageJson from '../../package.json' with { type: 'json' }
import { ErrorSchema } from '../../schemas/common.ts'
import { requestErrors } from '../routes/common-errors.ts'

const swaggerPath = '/swagger'

/**
 * Swagger UI's page is also at `/swagger/index.html`. The page finds its document below its own address.
 *
 * @returns the address that the router knows.
 */
export function rewriteSwaggerIndex(url: string): string {
  return url.replace(/^\/swagger\/index\.html\/?/, `${swaggerPath}/`)
}

/** The OpenAPI document of the routes registered after it, at `/openapi.json`, and Swagger UI over it. */
export const openapiPlugin = fp(
  async (app) => {
    app.addSchema(ErrorSchema)
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'User segments',
          description:
            'Which user is in which segment, since when and until when. A failed request answers ' +
            '`{"message", "code"}`: the message is for people, the code for programs. Unknown body fields and ' +
            'query parameters are refused. Times are in UTC. Each answer has the id of its request in ' +
            '`x-request-id`: the one that the request came with, or a new one.',
          version: packageJson.version,
          license: { name: 'MIT', identifier: 'MIT' }
        },
        servers: [{ url: '/', description: 'This service' }],
        tags: [
          { name: 'segments', description: 'Create and delete segments' },
          { name: 'memberships', description: 'Read and change the segments of a user' },
          { name: 'reports', description: "The history of a user's segments as CSV" },
          { name: 'operation', description: 'For those who run the service' }
        ]
      },
      refResolver: { buildLocalReference: (schema) => String(schema.$id) }
    })
    await app.register(swaggerUi, {
      routePrefix: swaggerPath,
      uiConfig: { displayOperationId: true, displayRequestDuration: true, tryItOutEnabled: false }
    })
    app.get(
      '/openapi.json',
      {
        schema: {
          operationId: 'getOpenApiDocument',
          summary: 'Get this document',
          description:
            'The OpenAPI document of the service, made from the schemas that validate its requests.',
          tags: ['operation'],
          response: {
            200: Type.Object({}, { description: 'The OpenAPI 3.1 document.', additionalProperties: true }),
            ...requestErrors
          }
        }
      },
      async () => app.swagger()
    )
  },
  { name: 'openapi' }
)
