import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startService } from './support/service.ts'

type Result = { code: number; stdout: string; stderr: string }

/** Runs `npm run key -- …`. */
function createKey(...args: string[]): Promise<Result> {
  const script = fileURLToPath(new URL('../src/create-key.ts', import.meta.url))
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr })
    )
  })
}

t.test(
  '`npm run key` prints a secret and the line to configure; the service then accepts the secret',
  async (t) => {
    const { code, stdout } = await createKey('--name', 'billing', '--role', 'reader')
    t.equal(code, 0)
    const [, secret = '', , setting = ''] = stdout.split('\n')
    t.match(secret, /^[\w-]{43}$/)
    t.equal(setting, `billing:reader:${createHash('sha256').update(secret).digest('hex')}`)
    t.equal(stdout.split(secret).length, 2, 'it is shown once')

    const service = await startService(t, { API_KEYS: setting })
    await service.sql`insert into users (id) values (1)`
    const headers = { authorization: `Bearer ${secret}` }
    t.same(await service.request({ method: 'GET', url: '/api/v1/segments/user/1', headers }), {
      status: 200,
      body: []
    })

    const another = await createKey('--name=billing', '--role=reader')
    t.notMatch(another.stdout, secret, 'each secret is different')
  }
)

t.test('`npm run key` prints its usage in one line, and creates nothing', async (t) => {
  for (const args of [
    [],
    ['--name', 'billing'],
    ['--name', 'billing', '--role', 'owner'],
    ['--name', 'bill:ing', '--role', 'reader'],
    ['--name', 'billing', '--role', 'reader', '--secret', 'sesame'],
    ['billing', 'reader']
  ]) {
    const { code, stdout, stderr } = await createKey(...args)
    t.same([code, stdout], [1, ''], args.join(' '))
    t.match(stderr, /^Usage: npm run key -- --name .* --role .*\n$/)
  }
})
