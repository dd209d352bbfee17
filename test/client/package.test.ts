import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import t, { type Test } from 'tap'
import * as source from '../../client/src/index.ts'
import { withBrowser } from '../support/browser.ts'
import { startProcess } from '../support/client-service.ts'
import { exerciseClient } from '../support/exercise-client.ts'
import { startHttpFaultProxy } from '../support/http-fault-proxy.ts'
import { FOLLOWER, readFollower, readReadmePrograms } from '../support/readme.ts'
import { createDatabase, createFolder, emptyTables } from '../support/service.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
/** The oldest Node.js that the client supports, from npm. */
const node20 = join(root, 'node_modules/node-20/bin/node')

const expected = {
  lookups: [['A'], { code: 'USER_NOT_FOUND', status: 404 }, 'left'],
  upload: [3, 3, 6],
  blob: 1,
  list: ['1', '5', '6', '7', '8'],
  download: ['user_id', '1', '5', '6', '7', '8'],
  cut: { code: 'CONNECTION_FAILED', status: null },
  report: [true, 7],
  changes: ['segment_created', 'membership_added', 'membership_added'],
  copy: [true, false, 5],
  away: ['OVERLOADED', 60],
  silent: { code: 'TIMEOUT', status: null },
  aborted: true,
  missing: { code: 'SEGMENT_NOT_FOUND', status: 404 },
  token: true
}

/** Packs the client, and installs it in a folder, with a file for what the tests run. Returns the folder. */
async function installPackage(t: Test): Promise<{ folder: string; installed: string; tarball: string }> {
  const folder = await createFolder(t)
  await run('npm', ['pack', join(root, 'client'), '--pack-destination', folder], { cwd: folder })
  const [name = ''] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'))
  const tarball = join(folder, name)
  const installed = join(folder, 'node_modules/@user-segments/client')
  await mkdir(installed, { recursive: true })
  await run('tar', ['--extract', '--strip-components=1', '--directory', installed, '--file', tarball])
  await writeFile(join(folder, 'package.json'), '{"type": "module"}')
  return { folder, installed, tarball }
}

/** Runs a script, and returns what it prints. */
async function runScript(
  node: string,
  folder: string,
  script: string,
  ...parameters: string[]
): Promise<string> {
  const { stdout } = await run(node, [join(folder, script), ...parameters], { cwd: folder })
  return stdout
}

/** The short examples of the README as one program, and what it says that the program prints. */
async function readExamples(): Promise<{ program: string; printed: string }> {
  const blocks = (await readReadmePrograms()).filter((code) => !code.startsWith(FOLLOWER))
  const printed = blocks.flatMap((code) =>
    [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, text = '']) => text)
  )
  return { program: blocks.join('\n'), printed: printed.join(' ') }
}

/** Prints values in one line each, and leaves everything else to the console. */
const shortConsole = `const console = {
  log: (...values: unknown[]) =>
    globalThis.console.log(values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join(' '))
}
`

t.test('the package', async (t) => {
  const database = await createDatabase(t)
  const { folder, installed, tarball } = await installPackage(t)
  const pages = await startPages(t, folder)
  const service = await startProcess(t, { CORS_ORIGINS: pages }, database)
  const proxy = await startHttpFaultProxy(t, service)
  t.beforeEach(() => emptyTables(database))

  t.test('is ready to be published', async (t) => {
    const files = (await readdir(installed)).toSorted()
    t.same(files, ['LICENSE', 'README.md', 'dist', 'package.json'])
    const [license, own] = await Promise.all(
      [root, installed].map((place) => readFile(join(place, 'LICENSE'), 'utf8'))
    )
    t.equal(own, license)
    t.same((await publint({ pkgDir: installed, pack: false, strict: true })).messages, [])
    const checked = await checkPackage(createPackageFromTarballData(await readFile(tarball)))
    // The package is ESM. CommonJS loads it by `import()`, or by `require` in a Node.js that can do so.
    const problems = 'problems' in checked ? checked.problems : ['no types']
    t.same(
      problems.filter((problem) => typeof problem === 'string' || problem.kind !== 'CJSResolvesToESM'),
      []
    )
  })

  t.test('does what its README shows, in TypeScript and in Node.js 24 and 20', async (t) => {
    const { program, printed } = await readExamples()
    const typescript = shortConsole + program.replaceAll('http://127.0.0.1:8080', service)
    await writeFile(join(folder, 'readme.ts'), typescript)
    await writeFile(join(folder, 'readme.js'), stripTypeScriptTypes(typescript))
    await writeFile(join(folder, 'follow.ts'), await readFollower())
    const openfeature = 'node_modules/@openfeature'
    await symlink(join(root, openfeature), join(folder, openfeature))
    const options = ['--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--target', 'es2022']
    const types = ['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node', '--skipLibCheck']
    await run(
      join(root, 'node_modules/.bin/tsc'),
      [...options, ...types, '--noEmit', 'readme.ts', 'follow.ts'],
      {
        cwd: folder
      }
    ).catch(({ stdout }) => t.fail(stdout))
    for (const node of [process.execPath, node20]) {
      await emptyTables(database)
      t.equal((await runScript(node, folder, 'readme.js')).trim().split('\n').join(' '), printed)
    }
  })

  t.test('does the same in Node.js 24', async (t) => {
    t.match(process.version, /^v24\./)
    t.same(await exerciseClient(source, proxy.url), expected)
  })

  t.test('does the same in Node.js 20', async (t) => {
    await writeFile(
      join(folder, 'main.js'),
      `import * as client from '@user-segments/client'
       import { exerciseClient } from './exercise-client.js'
       console.log(process.version)
       console.log(JSON.stringify(await exerciseClient(client, process.argv[2])))`
    )
    const [version = '', results = ''] = (await runScript(node20, folder, 'main.js', proxy.url)).split('\n')
    t.match(version, /^v20\./)
    t.same(JSON.parse(results), expected)
  })

  t.test('does the same in a browser', async (t) => {
    const [results, progress] = await withBrowser(async (page) => {
      await page.goto(pages)
      return page.evaluate<unknown[]>(`
        Promise.all([import('/client/index.js'), import('/exercise-client.js')])
          .then(async ([client, { exerciseClient, exerciseUploadProgress }]) => [
            await exerciseClient(client, ${JSON.stringify(proxy.url)}),
            await exerciseUploadProgress(client, ${JSON.stringify(proxy.url)})
          ])
      `)
    })
    t.same(progress, ['left on the way to 67108864', 'TIMEOUT'])
    t.same(results, expected)
  })
})

/** Serves the package to a browser, as a site of another origin than the service. Returns its origin. */
async function startPages(t: Test, folder: string): Promise<string> {
  const exercise = stripTypeScriptTypes(await readFile(join(root, 'test/support/exercise-client.ts'), 'utf8'))
  await writeFile(join(folder, 'exercise-client.js'), exercise)
  const server = createServer(async ({ url = '/' }, answer) => {
    if (url === '/') {
      answer.setHeader('content-type', 'text/html').end('<!doctype html><title>A page</title>')
      return
    }
    const path = url.replace(/^\/client\//, 'node_modules/@user-segments/client/dist/')
    answer.setHeader('content-type', 'text/javascript').end(await readFile(join(folder, path)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
