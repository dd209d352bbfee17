import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import Fastify from 'fastify'
import { createPage, type Page } from './pages.ts'

const paths = [
  '',
  '/',
  '/static/favicon-16x16.png',
  '/static/favicon-32x32.png',
  '/static/index.css',
  '/static/swagger-initializer.js',
  '/static/swagger-ui-bundle.js',
  '/static/swagger-ui-standalone-preset.js',
  '/static/swagger-ui.css'
]

/** The path of Swagger UI's page. */
export const SWAGGER_PATH = '/swagger'

async function renderFiles(): Promise<Map<string, Page>> {
  const library = Fastify()
  await library.register(swagger)
  await library.register(swaggerUi, {
    routePrefix: SWAGGER_PATH,
    // By default, the page does not store the secrets that are typed in.
    uiConfig: { displayOperationId: true, displayRequestDuration: true, tryItOutEnabled: false }
  })
  const files = new Map<string, Page>()
  for (const path of paths) {
    const { statusCode, headers, rawPayload } = await library.inject(SWAGGER_PATH + path)
    if (statusCode !== 200) throw new Error(`Swagger UI has no ${path}`)
    files.set(SWAGGER_PATH + path, createPage(String(headers['content-type']), rawPayload))
  }
  await library.close()
  return files
}

/**
 * The files of Swagger UI by path, rendered once. @fastify/swagger-ui reads them again for each request, which takes memory
 * for each client, and it serializes the OpenAPI document for each request.
 */
export const swaggerFiles: ReadonlyMap<string, Page> = await renderFiles()
