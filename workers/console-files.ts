import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { setPriority } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, gzipSync, constants as zlib } from 'node:zlib'
import type { ConsoleFile, ConsoleFiles } from '../src/console/files.ts'

// Gives requests priority when cores are scarce.
setPriority(10)

const root = fileURLToPath(new URL('..', import.meta.url))
const ENTRY = join(root, 'console/app.ts')
const STYLES = join(root, 'console/styles.css')
const ICON = join(root, 'console/icon.svg')

type Library = {
  file: string
  prefix?: string
  suffix?: string
}

/** The libraries of the console, by the specifiers that import them. */
const libraries: Readonly<Record<string, Library>> = {
  preact: { file: 'preact/dist/preact.mjs' },
  'preact/hooks': { file: 'preact/hooks/dist/hooks.mjs' },
  htm: { file: 'htm/dist/htm.module.js' },
  // Its ES module is not minified: 41 kB compressed, instead of 22 kB.
  uplot: {
    file: 'uplot/dist/uPlot.iife.min.js',
    // It asks for the format of numbers in the browser's language, whose name Intl refuses where the locale is that of POSIX.
    prefix: 'const navigator = { language: document.documentElement.lang }\n',
    suffix: '\nexport default uPlot\n'
  }
}

/** Static imports and re-exports, at the start of a statement. The second group is the specifier. */
const importPattern = /((?:^|[;}])\s*(?:import|export)(?:\s*[\w*$\s{},]*?[\s}]from)?\s*)(["'])([^"'\n]+)\2/gm

/** Imports of what is loaded later. */
const laterPattern = /(\bimport\(\s*)(["'])([^"'\n]+)\2(?=\s*\))/g

const types = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml; charset=utf-8'
} as const

function createFile(path: string, extension: 'js' | 'css' | 'svg', text: string): ConsoleFile {
  const content = Buffer.from(text)
  const hash = createHash('sha256').update(content).digest('base64url').slice(0, 10)
  const [stem] = basename(path).split('.', 1)
  return {
    name: `${stem}.${hash}.${extension}`,
    type: types[extension],
    etag: `"${hash}"`,
    content,
    // The best quality would take ten times as long, for 4 % less.
    brotli: brotliCompressSync(content, { params: { [zlib.BROTLI_PARAM_QUALITY]: 9 } }),
    gzip: gzipSync(content, { level: 9 })
  }
}

/** Finds the file of a specifier. Only what is listed can be served: the console's files, the client's and the libraries. */
function resolveImport(specifier: string, importer: string): string {
  const library = libraries[specifier]
  if (library) return specifier
  const file = join(dirname(importer), specifier)
  const isServed = ['console/', 'client/src/'].some((folder) => file.startsWith(join(root, folder)))
  if (!specifier.startsWith('.') || !isServed) {
    throw new Error(`${importer} imports ${specifier}, which the console does not serve`)
  }
  return file
}

async function readModule(id: string): Promise<string> {
  const library = libraries[id]
  if (library) {
    const text = await readFile(join(root, 'node_modules', library.file), 'utf8')
    const { prefix = '', suffix = '' } = library
    return prefix + text.replace(/^\/\/# sourceMappingURL=.*$/m, '') + suffix
  }
  return stripComments(stripTypeScriptTypes(await readFile(id, 'utf8')))
}

/** Comments on lines of their own, and the space that stripped types leave. A quarter of what would be sent. */
function stripComments(text: string): string {
  return text
    .replace(/^[ \t]*\/\*\*?(?:[^*]|\*(?!\/))*\*\/[ \t]*$/gm, '')
    .replace(/^[ \t]*\/\/.*$/gm, '')
    .replace(/[ \t]+$/gm, '')
    .replace(/\n{2,}/g, '\n')
}

/**
 * Makes the modules that the entry imports, dependencies first: the names of the files contain the hash of their content, and
 * that contains the names of what they import.
 *
 * @throws {Error} for an import that is not served, and for a cycle.
 */
async function createModules(entry: string): Promise<Pick<ConsoleFiles, 'modules' | 'later'>> {
  const files = new Map<string, ConsoleFile>()
  const imports = new Map<string, string[]>()
  const underWay = new Set<string>()

  async function add(id: string): Promise<ConsoleFile> {
    const known = files.get(id)
    if (known) return known
    if (underWay.has(id)) throw new Error(`${id} imports itself, through others`)
    underWay.add(id)
    let text = await readModule(id)
    const addImports = async (pattern: RegExp) => {
      const ids = new Map<string, string>()
      for (const [, , , specifier = ''] of text.matchAll(pattern)) {
        const imported = resolveImport(specifier, id)
        await add(imported)
        ids.set(specifier, imported)
      }
      text = text.replace(
        pattern,
        (_, start: string, quote: string, specifier: string) =>
          `${start}${quote}./${files.get(ids.get(specifier) ?? '')?.name}${quote}`
      )
      return [...ids.values()]
    }
    imports.set(id, await addImports(importPattern))
    await addImports(laterPattern)
    const file = createFile(libraries[id]?.file ?? id, 'js', text)
    files.set(id, file)
    return file
  }

  await add(entry)
  const needed = new Set([entry])
  for (const id of needed) for (const imported of imports.get(id) ?? []) needed.add(imported)
  const list = (isNeeded: boolean) =>
    [...files].flatMap(([id, file]) => (needed.has(id) === isNeeded ? [file] : []))
  return { modules: list(true), later: list(false) }
}

const { modules, later } = await createModules(ENTRY)
const styles = createFile(STYLES, 'css', await readStyles())
const icon = createFile(ICON, 'svg', await readFile(ICON, 'utf8'))
const answer: ConsoleFiles = { modules, later, styles, icon }
// If the service has ended meanwhile, nobody wants it.
process.send?.(answer, undefined, undefined, () => {})

async function readStyles(): Promise<string> {
  const [library, own] = await Promise.all([
    readFile(join(root, 'node_modules/uplot/dist/uPlot.min.css'), 'utf8'),
    readFile(STYLES, 'utf8')
  ])
  return `${library}\n${own}`
}
