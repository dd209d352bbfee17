import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { makeKey } from './support/keys.ts'
import { createFolder, startService, startServiceOn } from './support/service.ts'

const documented = 'http://127.0.0.1:8080'

/** Times and days differ from run to run, and so do checksums of what holds them. */
function withoutTimes(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/_\d{4}-\d\d-\d\d(?=\.csv)/g, '_<day>')
    .replace(/"[\da-f]{64}"/g, '<checksum>')
}

async function runShell(
  script: string,
  folder: string,
  environment: NodeJS.ProcessEnv = {}
): Promise<string> {
  const shell = spawn('sh', ['-c', script], {
    cwd: folder,
    env: { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}`, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
    // A loop whose condition never comes true ends the test, not hangs it.
    timeout: 30_000
  })
  let output = ''
  shell.stdout.on('data', (chunk) => (output += chunk))
  await once(shell, 'close')
  return output
}

t.test('every curl in the README answers what the README says', async (t) => {
  const service = await startService(t)
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  // What the README says of keys it says of a service that was started with one.
  const key = makeKey('billing', 'reader')
  const protectedService = await startServiceOn(t, service.database, { API_KEYS: key.setting })
  const protectedAddress = await protectedService.app.listen({ host: '127.0.0.1', port: 0 })
  const folder = await createFolder(t)
  // In curl's place, as a bare machine has none.
  const curl = fileURLToPath(new URL('support/curl.ts', import.meta.url))
  await writeFile(join(folder, 'curl'), `#!/bin/sh\nexec '${process.execPath}' '${curl}' "$@"\n`)
  await chmod(join(folder, 'curl'), 0o755)

  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const blocks = [...readme.matchAll(/```sh\n([^`]*curl [^`]*)```\n```text\n([^`]*)```/g)]
  t.equal(
    blocks.length,
    readme.split('curl ').length - 1 - (readme.match(/`curl /g)?.length ?? 0),
    'none is left out'
  )
  const [, aboutKeys = ''] = readme.match(/\n## Who may do what\n([\s\S]*?)\n## /) ?? []
  t.match(aboutKeys, 'curl ')
  for (const [block, command = '', answer = ''] of blocks) {
    const used = aboutKeys.includes(block) ? protectedAddress : address
    const output = await runShell(command.replaceAll(documented, used), folder, { SECRET: key.secret })
    t.equal(withoutTimes(output.trim()), withoutTimes(answer.trim().replaceAll(documented, used)), command)
  }
})
