import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { listMigrations } from '../../src/database/migrate.ts'
import { createDatabase, createFolder } from '../support/service.ts'

const script = fileURLToPath(new URL('../../src/database/migrate.ts', import.meta.url))

/** Runs `npm run migrate -- …`. */
async function run(t: Test, url: string, ...commands: string[]) {
  const cwd = await createFolder(t)
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    const env = { PATH: process.env.PATH, DATABASE_URL: url }
    execFile(process.execPath, [script, ...commands], { cwd, env }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr })
    )
  })
}

t.test('`status` lists the migrations and changes nothing', async (t) => {
  const { url, sql } = await createDatabase(t, { isMigrated: false })
  const names = await listMigrations()
  const list = (state: string) => names.map((name) => `${state}  ${name}\n`).join('')
  t.same(await run(t, url, 'status'), { code: 1, stdout: list('pending'), stderr: '' })
  t.same(await sql`select from pg_tables where schemaname = 'public'`, [])
  t.match(await run(t, url), { code: 0, stdout: /^Migrated: / })
  t.same(await run(t, url, 'status'), { code: 0, stdout: list('applied'), stderr: '' })
  await sql`insert into pgmigrations (name, run_on) values ('9999_newer', now())`
  t.match(await run(t, url, 'status'), { code: 0, stdout: /applied {2}9999_newer/ }, 'of a newer version')
})

t.test('other arguments are refused before the database is changed', async (t) => {
  const { url, sql } = await createDatabase(t, { isMigrated: false })
  for (const commands of [['down'], ['--help'], ['status', 'now'], ['up'], ['']])
    t.match(await run(t, url, ...commands), { code: 2, stdout: '', stderr: /^Usage: npm run migrate/ })
  t.same(await sql`select from pg_tables where schemaname = 'public'`, [])
})

t.test('a database that cannot be reached or used is reported in one line', async (t) => {
  const { url } = await createDatabase(t, { isMigrated: false })
  const change = (part: 'password' | 'pathname' | 'search', value: string) => {
    const changed = new URL(url)
    changed[part] = value
    return changed.href
  }
  for (const [broken, reason] of [
    ['postgres://127.0.0.1:1/x', /ECONNREFUSED/],
    [change('password', 'wrong'), /password authentication failed/],
    [change('pathname', '/nowhere'), /does not exist/],
    [change('search', '?sslmode=require'), /does not support encryption/],
    [change('search', '?ssl_mode=require'), /unknown parameter/],
    [change('search', '?schema=nowhere'), /No schema of the search path/]
  ] as const)
    for (const commands of [[], ['status']]) {
      const { code, stdout, stderr } = await run(t, broken, ...commands)
      t.same([code, stdout], [1, ''])
      t.match(stderr, reason)
      t.match(stderr, /^[^\n]+\n$/, 'one line')
    }
})
