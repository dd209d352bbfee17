import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { hostname } from 'node:os'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import packageJson from '../../package.json' with { type: 'json' }
import { withBrowser } from '../support/browser.ts'
import { findFaultsOfThemes, fitsPhone, signIn } from '../support/console.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { startServerProcess } from '../support/server-process.ts'
import { createDatabase, createFolder } from '../support/service.ts'

const keys = { reader: makeKey('analyst', 'reader'), admin: makeKey('operator', 'admin') }

/** A port that is free now: the service must come back on the same one. */
async function findPort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return String(port)
}

/** A service whose process can be ended and started again. */
async function prepareService(t: Test) {
  const { sql, url } = await createDatabase(t)
  const environment = {
    DATABASE_URL: url,
    API_KEYS: configureKeys(...Object.values(keys)),
    REPORTS_DIR: await createFolder(t),
    PORT: await findPort()
  }
  const start = async (changes: NodeJS.ProcessEnv = {}) => {
    const server = startServerProcess(t, { ...environment, ...changes })
    return { address: await server.address(), pid: server.process.pid, server }
  }
  return { sql, start }
}

const verdict = (page: Page, name: string) => page.getByRole('heading', { level: 2, name, exact: true })

t.test('the page of the system, in a browser', (t) =>
  withBrowser(async (page) => {
    const { sql, start } = await prepareService(t)
    const first = await start()
    const { address } = first
    const problems: string[] = []
    page.on('pageerror', ({ message }) => problems.push(message))
    const instances = page.getByRole('table', { name: 'Instances' })

    await t.test('says that all is well, and shows versions, instances and the database', async (t) => {
      await signIn(page, address, keys.reader, '/system')
      await verdict(page, 'All is well').waitFor()
      t.match(await instances.innerText(), `${hostname().slice(-32)}:${first.pid}`)
      const facts = (await page.locator('.facts').allInnerTexts()).join('\n')
      const [{ version }] = await sql<[{ version: string }]>`
        select current_setting('server_version') as version`
      for (const fact of [packageJson.version, process.versions.node, '0001_schema', version])
        t.match(facts, fact)
      t.equal(await page.getByRole('link', { name: 'All webhooks' }).count(), 0, 'a reader may not see them')
      t.same(await findFaultsOfThemes(page), [])
      t.ok(await fitsPhone(page))
    })

    await t.test('shows another instance, until it stops', async (t) => {
      const other = await start({ PORT: '0', REPORTS_DIR: await createFolder(t) })
      const row = instances.getByText(`:${other.pid}`)
      await row.waitFor()
      other.server.process.kill('SIGTERM')
      await row.waitFor({ state: 'detached' })
    })

    await t.test('says when the service does not answer, and when it is back', async (t) => {
      first.server.process.kill('SIGKILL')
      await verdict(page, 'The service does not answer').waitFor()
      await page.getByText(/^Since .*Trying again/).waitFor()
      await page.locator('[aria-live]').getByText('The service does not answer').waitFor()
      t.ok(await instances.isVisible(), 'what was known stays')
      t.equal(await page.getByRole('alert').count(), 0, 'it is said once')
      t.same(await findFaultsOfThemes(page), [])
      const second = await start()
      t.equal(second.address, address)
      await verdict(page, 'All is well').waitFor()
      await page.getByText(/^It did not answer from .* on, for \d+ (second|minute)s?\.$/).waitFor()
      await page.locator('[aria-live]').getByText('The service answers again').waitFor()
      await instances.getByText(`:${second.pid}`).waitFor()
    })

    await t.test('says why it cannot answer requests, and which request has told so', async (t) => {
      await sql`update pgmigrations set name = 'renamed'`
      await verdict(page, 'The service cannot answer requests').waitFor()
      t.match(
        await page.getByRole('region', { name: 'Verdict' }).innerText(),
        /0001_schema[\s\S]*SCHEMA_OUTDATED · Request [\w-]{36}/
      )
      t.same(await findFaultsOfThemes(page), [])
      await sql`update pgmigrations set name = '0001_schema'`
      await verdict(page, 'All is well').waitFor()
    })

    await t.test('names what needs attention, and leads there those who may go', async (t) => {
      await sql`insert into segments (slug) values ('A')`
      await sql`insert into assignments (segment_id, status) select id, 'failed' from segments`
      await verdict(page, 'It works, but needs attention').waitFor()
      await page.getByText('Segments that could not be filled: 1.').waitFor()
      t.same(await findFaultsOfThemes(page), [])
      await sql`
        insert into webhooks (url, secret, cursor, state, pause_reason, paused_at)
        values ('https://a.example', 'x', 'x', 'paused', 'failing', now())`
      await verdict(page, 'Something is wrong').waitFor()
      const reason = 'Webhooks that the service has paused: 1. Nothing is delivered to them.'
      await page.getByText(reason).waitFor()
      t.equal(await page.getByRole('link', { name: reason }).count(), 0)
      await signIn(page, address, keys.admin, '/system')
      await page.getByRole('link', { name: reason }).click()
      await page.getByRole('heading', { level: 1, name: 'Webhooks' }).waitFor()
      await page.getByText('paused: failing').waitFor()
    })

    await t.test('speaks Russian', async () => {
      await page.getByRole('link', { name: 'System' }).click()
      await page.getByLabel('Language').selectOption('ru')
      await verdict(page, 'Есть неисправность').waitFor()
      await page.getByText('Не удалось заполнить сегментов: 1.').waitFor()
    })

    t.same(problems, [])
  })
)
