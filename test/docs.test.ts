import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, delimiter, dirname, join, matchesGlob } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { makeKey } from './support/keys.ts'
import { createFolder, startService, startServiceOn } from './support/service.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
/** The address of the service on the pages. */
const documented = 'http://127.0.0.1:8080'
const read = (path: string) => readFile(join(root, path), 'utf8')

t.test('every curl in README and docs returns what the page shows', async (t) => {
  /** In reading order: each page continues with what the page before has created. */
  const pages = [
    'README.md',
    'docs/tour.md',
    'docs/openfeature.md',
    'docs/retries.md',
    'docs/security.md',
    'docs/monitoring.md',
    'docs/changes.md',
    'docs/webhooks.md',
    'docs/groups.md',
    'docs/compositions.md'
  ]

  const service = await startService(t)
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  // The page on security describes a service that was started with this key.
  const key = makeKey('billing', 'reader')
  const protectedService = await startServiceOn(t, service.database, {
    API_KEYS: key.setting,
    // Either instance may make a report that the other one is asked for.
    REPORTS_DIR: service.reportsDirectory
  })
  const protectedAddress = await protectedService.app.listen({ host: '127.0.0.1', port: 0 })
  const shell = await createShell(t, { SECRET: key.secret })

  for (const page of pages) {
    const server = page === 'docs/security.md' ? protectedAddress : address
    const steps = readCurls(await read(page))
    t.ok(steps.length > 0, page)
    for (const { command, answer } of steps) {
      const output = await shell(command.replaceAll(documented, server))
      t.equal(
        maskChanging(output.trim()),
        maskChanging(answer.trim().replaceAll(documented, server)),
        `${page}: ${command}`
      )
    }
  }
  for (const page of await listFiles()) {
    const isRun = pages.includes(page) || !page.endsWith('.md')
    if (!isRun) t.strictSame(readCurls(await read(page)), [], `${page} has a curl, so the test should run it`)
  }
})

t.test('the commands on the page on security change nothing on a service without keys', async (t) => {
  const service = await startService(t)
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  const shell = await createShell(t, { SECRET: '' })
  const paste = async (page: string) => {
    for (const { command } of readCurls(await read(page))) {
      t.not(await shell(command.replaceAll(documented, address)), '', command)
    }
  }
  const readState = async () => {
    const urls = ['/api/v1/segments?include_deleted=true', '/api/v1/segments/user/10/history']
    return Promise.all(urls.map(async (url) => (await service.app.inject(url)).body))
  }
  await paste('README.md')
  const before = await readState()
  t.match(before.join(), 'VOICE_MSG')
  await paste('docs/security.md')
  t.strictSame(await readState(), before)
})

t.test('every relative link in Markdown leads to an existing file and heading', async (t) => {
  const files = await listFiles()
  const pages = files.filter((file) => file.endsWith('.md'))
  t.ok(pages.length > 20)
  for (const page of pages) {
    const prose = (await read(page)).replace(/^```[\s\S]*?^```/gm, '')
    for (const [, target = ''] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const linked = path === '' ? page : join(dirname(page), path)
      t.ok(files.includes(linked), `${page} links to ${target}`)
      if (anchor) t.ok(listAnchors(await read(linked)).includes(anchor), `${page} links to ${target}`)
    }
  }
})

t.test('every decision has a status, which the index repeats', async (t) => {
  const folder = 'docs/decisions'
  const records = (await listFiles()).filter((file) => /^docs\/decisions\/\d{4}-/.test(file)).toSorted()
  const rows: string[] = []
  for (const record of records) {
    const [, title, status = ''] = (await read(record)).match(/^# (.+)\n\nStatus: (.+)\n/) ?? []
    t.match(status, /^(accepted|(amended|superseded) by \[\d{4}\].*)$/, record)
    const [summary] = status.split(' ')
    const numbers = status.match(/(?<=\[)\d{4}/g)?.join(', ')
    const name = record.slice(folder.length + 1)
    rows.push(
      `| [${name.slice(0, 4)}](${name}) | ${title} | ${numbers ? `${summary} by ${numbers}` : summary} |`
    )
  }
  t.ok(rows.length > 0)
  t.strictSame((await read(`${folder}/README.md`)).match(/^\| \[\d.*$/gm), rows)
})

t.test('every file that Markdown names exists', async (t) => {
  const files = await listFiles()
  const names = new Set(files.map((file) => basename(file)))
  const folders = files.filter((file) =>
    files.some((other) => dirname(other) === file && !file.includes('/'))
  )
  // A path from the root, but not a part of a URL or of a longer path.
  const paths = new RegExp(`(?<![\\w/.:~-])(?:${folders.join('|').replaceAll('.', '\\.')})/[\\w./*-]*`, 'g')
  const pages = files.filter((file) => file.endsWith('.md'))
  t.ok(pages.length > 20)
  for (const page of pages) {
    const text = (await read(page)).replace(/\]\([^)]*\)/g, ']')
    for (const [path] of text.matchAll(paths)) {
      const named = path.replace(/[/.]+$/, '')
      const exists = files.some((file) => matchesGlob(file, named))
      t.ok(exists, `${page} names ${named}`)
    }
    for (const [, name = ''] of text.matchAll(/`([\w-][\w.-]*\.(?:ts|sql|md|json|ya?ml))`/g)) {
      t.ok(names.has(name), `${page} names ${name}`)
    }
  }
})

/** The files and folders of the repository, without generated ones. */
async function listFiles(): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true })
  const own = entries.filter(({ name }) => !/^(node_modules|\.(?!ci$|github$|env\.example$).*)$/.test(name))
  const inside = await Promise.all(
    own.map(async (entry) => {
      const names = entry.isDirectory() ? await readdir(join(root, entry.name), { recursive: true }) : []
      return [entry.name, ...names.map((name) => `${entry.name}/${name}`)]
    })
  )
  return inside.flat()
}

/** The anchors of a page's headings, as on GitHub. */
function listAnchors(page: string): string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-')
  )
}

/** The blocks of a page that call curl, each with the response that the page shows after it. */
function readCurls(page: string): { command: string; answer: string }[] {
  return [...page.matchAll(/```sh\n([\s\S]*?)```(?:\n```text\n([\s\S]*?)```)?/g)]
    .map(([, command = '', answer]) => ({ command, answer: answer ?? 'no answer is printed' }))
    .filter(({ command }) => /\bcurl /.test(command))
}

/** Times and days differ from run to run, and so do checksums of what contains them. */
function maskChanging(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/_\d{4}-\d\d-\d\d(?=\.csv)/g, '_<day>')
    .replace(/"[\da-f]{64}"/g, '<checksum>')
}

/** A function that runs a script in `sh` and returns what it prints. */
async function createShell(t: Test, environment: NodeJS.ProcessEnv = {}) {
  const folder = await createFolder(t)
  // Replaces curl, which a bare machine does not have.
  const curl = fileURLToPath(new URL('support/curl.ts', import.meta.url))
  await writeFile(join(folder, 'curl'), `#!/bin/sh\nexec '${process.execPath}' '${curl}' "$@"\n`)
  await chmod(join(folder, 'curl'), 0o755)

  return async (script: string): Promise<string> => {
    const shell = spawn('sh', ['-c', script], {
      cwd: folder,
      env: { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}`, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
      // A loop whose condition never holds fails the test instead of hanging it.
      timeout: 30_000
    })
    let output = ''
    shell.stdout.on('data', (chunk) => (output += chunk))
    await once(shell, 'close')
    return output
  }
}
