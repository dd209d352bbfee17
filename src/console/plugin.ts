import helmet from '@fastify/helmet'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isKnown } from '../http/file-answer.ts'
import { Load } from '../http/load-shedding.ts'
import { createPage, type Page, sendPage } from '../http/pages.ts'
import { consoleHeaders } from '../http/security-headers.ts'
import { SWAGGER_PATH } from '../http/swagger-ui.ts'
import {
  ASSET_WEIGHT,
  CONSOLE_DELAY_MS,
  MAX_CONSOLE_FILES_IN_FLIGHT,
  MAX_PAGES_IN_FLIGHT,
  PAGE_STALL_TIMEOUT_MS
} from '../limits.ts'
import { type ConsoleFile, loadConsoleFiles } from './files.ts'
import { renderShell } from './shell.ts'

/** The path of the console. */
export const CONSOLE_PATH = '/console'

/** A year, in seconds: the name of a file changes with its content. */
const IMMUTABLE = 'public, max-age=31536000, immutable'

/** The encodings in which a file is kept, best first. */
const encodings = [
  ['br', 'brotli'],
  ['gzip', 'gzip']
] as const

function accepts(header: string, encoding: string): boolean {
  return new RegExp(`(^|,)\\s*${encoding}\\s*(;\\s*q=(1|0\\.0*[1-9])[^,]*)?\\s*(,|$)`, 'i').test(header)
}

function sendFile(file: ConsoleFile, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.header('etag', file.etag).header('cache-control', IMMUTABLE).header('vary', 'accept-encoding')
  if (isKnown(request.headers['if-none-match'] ?? '', file.etag)) return reply.status(304).send()
  request.server.connections.limitStall(request.raw.socket, PAGE_STALL_TIMEOUT_MS)
  const accepted = request.headers['accept-encoding']?.toString() ?? ''
  const found = encodings.find(([name]) => accepts(accepted, name))
  if (!found) return reply.type(file.type).send(file.content)
  const [name, field] = found
  return reply.type(file.type).header('content-encoding', name).send(file[field])
}

/**
 * Serves the console: one page for all its paths, and its files. They are made soon after the start, which does not wait for
 * them, so that the first visitor rarely does.
 */
export const consolePlugin = fp<{ publicUrl: string | undefined }>(
  async (app, { publicUrl }) => {
    const base = publicUrl === undefined ? '' : new URL(publicUrl).pathname.replace(/\/+$/, '')
    const role = app.roleOf('console')
    const limits = { load: new Load(), maxInFlight: MAX_PAGES_IN_FLIGHT }
    const fileLimits = { load: new Load(), maxInFlight: MAX_CONSOLE_FILES_IN_FLIGHT }
    let shell: Page | undefined
    let assets: ReadonlyMap<string, ConsoleFile> = new Map()

    async function loadShell(): Promise<Page> {
      if (shell) return shell
      const files = await loadConsoleFiles()
      assets = new Map(
        [...files.modules, ...files.later, files.styles, files.icon].map((file) => [file.name, file])
      )
      shell = createPage('text/html; charset=utf-8', renderShell(files, base))
      return shell
    }

    let timer: NodeJS.Timeout | undefined
    app.addHook('onListen', async () => {
      const prepare = () =>
        loadShell().catch((error: unknown) => app.log.error({ err: error }, 'the console cannot be served'))
      timer = setTimeout(prepare, CONSOLE_DELAY_MS).unref()
    })
    app.addHook('onClose', async () => clearTimeout(timer))
    await app.register(async (pages) => {
      pages.undeclaredRole = role
      await pages.register(helmet, consoleHeaders)
      const options = { config: limits, schema: { hide: true } }
      const sendShell = async (request: FastifyRequest, reply: FastifyReply) =>
        sendPage(await loadShell(), request, reply)
      pages.get(CONSOLE_PATH, options, sendShell)
      pages.get(`${CONSOLE_PATH}/*`, options, sendShell)
    })
    // Where the console is not open, a browser cannot show it: it sends no key with a page.
    const home = role === 'open' ? CONSOLE_PATH : `${SWAGGER_PATH}/index.html`
    const homeRole = role === 'open' ? role : app.roleOf('docs')
    app.get('/', { config: { role: homeRole }, schema: { hide: true } }, async (_request, reply) =>
      reply.redirect(base + home)
    )
    // Without helmet's headers, which are for pages: they would be as large as most of the files.
    app.get<{ Params: { name: string } }>(
      `${CONSOLE_PATH}/assets/:name`,
      { config: { role, ...fileLimits, strangerWeight: ASSET_WEIGHT }, schema: { hide: true } },
      async (request, reply) => {
        await loadShell()
        const file = assets.get(request.params.name)
        return file ? sendFile(file, request, reply) : reply.callNotFound()
      }
    )
  },
  { name: 'console', dependencies: ['authentication'] }
)
