import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import packageJson from '../../package.json' with { type: 'json' }
import { BEARER_SCHEME } from './authentication.ts'
import { overloadErrors } from './common-responses.ts'
import { tidyDocument } from './openapi-document.ts'
import { pageHeaders } from './security-headers.ts'

const swaggerPath = '/swagger'

/**
 * Makes Swagger UI's page available at `/swagger/index.html` as well. The page finds its document relative to its address.
 *
 * @returns the URL that the router knows.
 */
export function rewriteSwaggerIndex(url: string): string {
  return url.replace(/^\/swagger\/index\.html\/?/, `${swaggerPath}/`)
}

/** Serves the OpenAPI document of the routes that are registered after it at `/openapi.json`, and Swagger UI. */
export const openapiPlugin = fp<{ publicUrl: string | undefined }>(
  async (app, { publicUrl }) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'User segments',
          description:
            'Which user is in which segment, since when and until when.\n\n' +
            'A failed request answers `{"message", "code"}`: the message is for people, the code for programs. ' +
            'Unknown body fields and query parameters are refused. Null for an optional body field means that it is ' +
            'absent. Times are in UTC. Each answer has the id of its ' +
            'request in `x-request-id`: the one the request came with, or a new one.\n\n' +
            'The examples fit together: on a fresh service, "Try it out" and "Execute" succeed from the first ' +
            'operation to the last. An upload needs a file, such as one with the line `10`.',
          version: packageJson.version,
          license: { name: 'MIT', identifier: 'MIT' }
        },
        servers: [{ url: publicUrl?.replace(/\/+$/, '') ?? '/' }],
        tags: [
          {
            name: 'segments',
            description: 'Segments and the users in them: create, change, look up, upload, delete'
          },
          { name: 'reports', description: 'Histories as CSV: of a user, of a segment, of all users' },
          { name: 'users', description: 'The data of a user: erase it' },
          { name: 'operation', description: 'For the operators of the service' }
        ],
        components: {
          securitySchemes: {
            [BEARER_SCHEME]: {
              type: 'http',
              scheme: 'bearer',
              description:
                'The secret of an API key. Its role says what it may do:\n' +
                '- `reader`: read, and order reports;\n' +
                "- `editor`: also change users' segments, one user at a time or by uploads;\n" +
                '- `admin`: also create, change and delete segments, and erase users.\n\n' +
                'A service without configured keys needs none.'
            }
          }
        }
      },
      transformObject: (document) => {
        if (!('openapiObject' in document)) return document.swaggerObject
        tidyDocument(document.openapiObject)
        return document.openapiObject
      }
    })
    await app.register(async (page) => {
      page.undeclaredRole = app.roleOf('docs')
      await page.register(helmet, pageHeaders)
      await page.register(swaggerUi, {
        routePrefix: swaggerPath,
        // By default, the page does not store the secrets that are typed in.
        uiConfig: { displayOperationId: true, displayRequestDuration: true, tryItOutEnabled: false }
      })
    })
    app.get('/', { config: { role: app.roleOf('docs') }, schema: { hide: true } }, async (_request, reply) =>
      reply.redirect(`${swaggerPath}/index.html`)
    )
    app.get(
      '/openapi.json',
      {
        config: { role: app.roleOf('docs') },
        schema: {
          operationId: 'getOpenApiDocument',
          summary: 'Get this document',
          description:
            'The OpenAPI document of the service, generated from the schemas that validate its requests.',
          tags: ['operation'],
          response: {
            200: Type.Object(
              {},
              {
                title: 'OpenApiDocument',
                description: 'An OpenAPI 3.1 document.',
                additionalProperties: true
              }
            ),
            ...overloadErrors
          }
        }
      },
      async () => app.swagger()
    )
  },
  { name: 'openapi' }
)
