import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import packageJson from '../../package.json' with { type: 'json' }
import { deliveryParameters } from '../../schemas/webhooks.ts'
import { MAX_PAGES_IN_FLIGHT } from '../limits.ts'
import { BEARER_SCHEME, KEY_HEADER_SCHEME } from './authentication.ts'
import { overloadErrors } from './common-responses.ts'
import { Load } from './load-shedding.ts'
import { tidyDocument } from './openapi-document.ts'
import { createPage, type Page, sendPage } from './pages.ts'
import { pageHeaders } from './security-headers.ts'
import { SWAGGER_PATH, swaggerFiles } from './swagger-ui.ts'

/** What a webhook's receiver is sent. */
const deliveryOperation = {
  operationId: 'deliverChanges',
  summary: 'Changes, delivered to a webhook',
  description:
    'Batches come in order, each at least once. The next one comes after this one has been answered 2xx. 410 pauses the ' +
    'webhook. After any other answer, or none within 15 seconds, the same batch is sent again later.',
  tags: ['changes'],
  security: [],
  parameters: deliveryParameters,
  requestBody: {
    required: true,
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Changes' } } }
  },
  responses: {
    '2XX': { description: 'The batch has been received. The body is ignored.' },
    410: { description: 'The receiver wants no more deliveries.' }
  }
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
            'A client that accepts `application/problem+json` and not JSON gets a problem as in RFC 9457. ' +
            'Unknown body fields and query parameters are refused. Null for an optional body field means that it is ' +
            'absent. Times are in UTC. Each answer has the id of its ' +
            'request in `x-request-id`: the one the request came with, or a new one.\n\n' +
            'The examples fit together: on a fresh service, "Try it out" and "Execute" succeed from the first ' +
            'operation to the last, except the evaluation of one flag, whose segment is deleted by then.\n\n' +
            'An upload needs a file, such as one with the line `10`, in UTF-8, of at most 1 GiB and 50 million lines. ' +
            'An instance takes two at once of a key. With curl, send it with `--data-binary @file`: `-d @file` removes ' +
            'line breaks, so that several ids become one.',
          version: packageJson.version,
          license: { name: 'MIT', identifier: 'MIT' }
        },
        servers: [{ url: publicUrl?.replace(/\/+$/, '') ?? '/' }],
        tags: [
          {
            name: 'segments',
            description: 'Segments and the users in them: create, change, look up, upload, delete'
          },
          { name: 'groups', description: 'Exclusive groups: a user is in at most one segment of each' },
          { name: 'changes', description: 'What has changed: follow it from a cursor, or have it delivered' },
          { name: 'openfeature', description: 'Segments as flags of OpenFeature (OFREP)' },
          { name: 'reports', description: 'Histories as CSV: of a user, of a segment, of all users' },
          { name: 'users', description: 'The data of a user: erase it' },
          { name: 'operation', description: 'For the operators of the service' }
        ],
        webhooks: { changes: { post: deliveryOperation } },
        components: {
          securitySchemes: {
            [BEARER_SCHEME]: {
              type: 'http',
              scheme: 'bearer',
              description:
                'The secret of an API key. Its role says what it may do:\n' +
                '- `reader`: read, and order reports;\n' +
                "- `editor`: also change users' segments, one user at a time or by uploads;\n" +
                '- `admin`: also create, change and delete segments, erase users, and manage webhooks.\n\n' +
                'A service without configured keys needs none.'
            },
            [KEY_HEADER_SCHEME]: {
              type: 'apiKey',
              in: 'header',
              name: 'X-API-Key',
              description: 'The same secret, for clients of OpenFeature that send it in this header.'
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
    let document: Page | undefined
    const getDocument = () => {
      document ??= createPage('application/json; charset=utf-8', JSON.stringify(app.swagger()))
      return document
    }
    // At the start, because all other requests wait meanwhile.
    app.addHook('onReady', async () => void getDocument())
    const sendDocument = async (request: FastifyRequest, reply: FastifyReply) =>
      sendPage(getDocument(), request, reply)

    // All pages together may have MAX_PAGES_IN_FLIGHT requests in flight.
    const limits = { load: new Load(), maxInFlight: MAX_PAGES_IN_FLIGHT }
    await app.register(async (pages) => {
      pages.undeclaredRole = app.roleOf('docs')
      await pages.register(helmet, pageHeaders)
      const options = { config: limits, schema: { hide: true } }
      const serve = async (path: string, request: FastifyRequest, reply: FastifyReply) => {
        const file = swaggerFiles.get(path)
        return file ? sendPage(file, request, reply) : reply.callNotFound()
      }
      // The page finds its files relative to its address, which may end with a slash.
      pages.get(SWAGGER_PATH, options, async (request, reply) =>
        serve(/^[^?]*\/($|\?)/.test(request.url) ? `${SWAGGER_PATH}/` : SWAGGER_PATH, request, reply)
      )
      pages.get(`${SWAGGER_PATH}/index.html`, options, async (request, reply) =>
        serve(`${SWAGGER_PATH}/`, request, reply)
      )
      pages.get<{ Params: { '*': string } }>(`${SWAGGER_PATH}/static/*`, options, async (request, reply) =>
        serve(`${SWAGGER_PATH}/static/${request.params['*']}`, request, reply)
      )
      // The page looks for the document below its own address.
      for (const path of [SWAGGER_PATH, `${SWAGGER_PATH}/index.html`])
        pages.get(`${path}/json`, options, sendDocument)
    })
    app.get(
      '/openapi.json',
      {
        config: { role: app.roleOf('docs'), ...limits },
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
            304: Type.Null({ description: 'The document is the one that `If-None-Match` names.' }),
            ...overloadErrors
          }
        }
      },
      sendDocument
    )
  },
  { name: 'openapi' }
)
