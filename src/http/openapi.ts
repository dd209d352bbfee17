import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import packageJson from '../../package.json' with { type: 'json' }
import { ErrorSchema } from '../../schemas/common.ts'
import { BEARER_SCHEME } from './authentication.ts'
import { requestErrors } from './common-responses.ts'
import { pageHeaders } from './security-headers.ts'

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
          { name: 'segments', description: 'Create, change, list and delete segments' },
          { name: 'memberships', description: 'Read and change the segments of users, one or many at once' },
          { name: 'reports', description: 'Histories as CSV: of a user, of a segment, of all users' },
          { name: 'operation', description: 'For those who run the service' }
        ],
        components: {
          securitySchemes: {
            [BEARER_SCHEME]: {
              type: 'http',
              scheme: 'bearer',
              description:
                'The secret of an API key. Its role says what it may do: a `reader` reads and orders reports, an ' +
                "`editor` also changes a user's segments, an `admin` also creates and deletes segments. Where the " +
                'service runs without keys, none is needed.'
            }
          }
        }
      },
      refResolver: { buildLocalReference: (schema) => String(schema.$id) }
    })
    await app.register(async (page) => {
      page.undeclaredRole = app.roleOf('docs')
      await page.register(helmet, pageHeaders)
      await page.register(swaggerUi, {
        routePrefix: swaggerPath,
        // Secrets that are typed in last as long as the page: by default they are kept nowhere.
        uiConfig: { displayOperationId: true, displayRequestDuration: true, tryItOutEnabled: false }
      })
    })
    app.get(
      '/openapi.json',
      {
        config: { role: app.roleOf('docs') },
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
