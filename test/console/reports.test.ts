import { readFile } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import t from 'tap'
import { withBrowser } from '../support/browser.ts'
import { findFaultsOfThemes, fitsPhone, signIn } from '../support/console.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { dayFromNow, startService } from '../support/service.ts'

/** For what is waited for. The machine of a test may be busy. */
const PATIENCE_MS = 60_000

const keys = { reader: makeKey('analyst', 'reader'), admin: makeKey('marketing', 'admin') }

/** The articles of the reports, each with its title. */
const listReports = (page: Page) =>
  page.getByRole('article').evaluateAll((articles) => articles.map((article) => article.ariaLabel))

t.test('the page of reports, in a browser', (t) =>
  withBrowser(async (page) => {
    const service = await startService(t, { API_KEYS: configureKeys(...Object.values(keys)) })
    const { headers } = keys.admin
    await service.post('/api/v1/segment', { slug: 'PROMO_5' }, headers)
    await service.post('/api/v1/segments/user/10', { segments_to_add: ['PROMO_5'] }, headers)
    const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
    const problems: string[] = []
    page.on('pageerror', ({ message }) => problems.push(message))
    page.on('response', (response) => {
      if (response.status() >= 400 && !response.url().includes('/api/')) problems.push(response.url())
    })
    page.setDefaultTimeout(PATIENCE_MS)
    const dialog = page.getByRole('dialog')
    const button = (name: string) => page.getByRole('button', { name, exact: true }).first()
    const order = () => dialog.getByRole('button', { name: 'Order', exact: true }).click()
    const reportOf = (subject: string) => page.getByRole('article', { name: new RegExp(`^${subject} ·`) })

    await t.test('orders a report, which can be downloaded as soon as it is ready', async (t) => {
      await signIn(page, address, keys.reader, '/reports')
      await page.getByText('Nothing was ordered here yet').waitFor()
      t.same(await findFaultsOfThemes(page), [])
      await button('Order a report').click()
      await dialog.getByLabel('About').selectOption('One user')
      await dialog.getByLabel('User', { exact: true }).fill('10')
      await dialog.getByLabel('Time').selectOption('Certain days')
      await dialog.getByLabel('First day').fill('2026-01-01')
      await dialog.getByLabel('Last day').fill('2025-01-01')
      await dialog.getByText('today at the latest').waitFor()
      await dialog.getByLabel('Last day').fill(dayFromNow(0))
      await dialog.getByLabel('With details').check()
      await dialog.getByText(/User 10: Jan 1 – .*, whole days in UTC/).waitFor()
      t.same(await findFaultsOfThemes(page), [])
      await order()
      const downloading = page.waitForEvent('download')
      await reportOf('User 10').getByRole('link', { name: 'Download' }).click()
      const download = await downloading
      t.equal(download.suggestedFilename(), `user-10_2026-01-01_${dayFromNow(1)}_details.csv`)
      t.match(
        await readFile(await download.path(), 'utf8'),
        /^user_id,.*,expires_at\n10,PROMO_5,add,[^,]+,request,marketing,\n$/
      )
      t.match(await reportOf('User 10').innerText(), /ready[\s\S]*Rows\s*1/)
    })

    await t.test('keeps the names of a tab, and opens others by their links', async (t) => {
      const stored = await page.evaluate(() => JSON.stringify({ ...sessionStorage }))
      t.match(stored, 'user-10_2026-01-01')
      t.notMatch(stored, 'signature')
      await reportOf('User 10').getByRole('link', { name: 'User 10 ·' }).click()
      const { pathname, search } = new URL(page.url())
      await page.getByRole('region', { name: 'Opened report' }).waitFor()
      t.notMatch(search, 'signature')
      await signIn(page, address, keys.admin, `${pathname}${search}`.replace('/console', ''))
      await page.getByRole('region', { name: 'Opened report' }).getByText('ready').waitFor()

      const { body } = await service.post('/api/v1/reports', { month: '2026-01' }, headers)
      await page.getByLabel('Open another report').fill('nothing')
      await button('Open').click()
      await page.getByText('This names no report.').waitFor()
      await page.getByLabel('Open another report').fill((body as { link: string }).link)
      await button('Open').click()
      await reportOf('All users').getByRole('link', { name: 'Download' }).waitFor()
      t.notMatch(page.url(), 'signature')
      t.equal((await listReports(page)).length, 2, 'the opened one, and that of the tab')
      t.same(await findFaultsOfThemes(page), [])
      t.ok(await fitsPhone(page))
    })

    await t.test('cancels an order while the report is made, after saying what that means', async (t) => {
      await signIn(page, address, keys.admin, '/reports')
      const blocked = Promise.withResolvers<void>()
      const released = Promise.withResolvers<void>()
      const blocking = service.sql.begin(async (sql) => {
        await sql`lock table memberships in access exclusive mode`
        blocked.resolve()
        await released.promise
      })
      await blocked.promise
      await button('Order a report').click()
      await dialog.getByLabel('About').selectOption('One segment')
      await dialog.getByLabel('Segment', { exact: true }).fill('promo_5')
      await order()
      const report = reportOf('Segment PROMO_5')
      await report.getByText('being made').waitFor()
      t.equal(await report.getByRole('progressbar').count(), 1)
      t.same(await findFaultsOfThemes(page), [])
      await report.getByRole('button', { name: 'Cancel the order' }).click()
      await dialog.getByText('The report will not be made.').waitFor()
      await dialog.getByRole('button', { name: 'Cancel the order' }).click()
      await report.waitFor({ state: 'detached' })
      released.resolve()
      await blocking
      t.same(await service.sql`select from reports where segment_slug = 'PROMO_5'`, [])
    })

    await t.test('says why a report failed, was not ordered, or has gone', async (t) => {
      const report = reportOf('User 10')
      await service.sql`
        update reports
        set status = 'failed', token = null, error = 'the report could not be stored'
        where user_id = 10`
      await signIn(page, address, keys.admin, '/reports')
      await report.getByText('in five attempts: the report could not be stored').waitFor()
      await report.getByRole('button', { name: 'Order it again' }).click()
      await report.getByRole('link', { name: 'Download' }).waitFor()

      await service.get('/api/v1/segments/user/10/csv?month=2025-01', keys.reader.headers)
      await signIn(page, address, keys.admin, '/reports?report=user-10_2025-01-01_2025-02-01.csv')
      const opened = page.getByRole('region', { name: 'Opened report' })
      await opened.getByRole('button', { name: 'Remove the report' }).click()
      await dialog.getByRole('button', { name: 'Remove the report' }).click()
      await dialog.getByText('Your key has not ordered this report').waitFor()
      await signIn(page, address, keys.admin, '/reports?report=user-77_2025-01-01_2025-02-01.csv')
      await opened.getByText('There is no such report').waitFor()
      await opened.getByRole('button', { name: 'Order it again' }).click()
      t.match(await opened.getByRole('alert').innerText(), /USER_NOT_FOUND · Request/)
    })

    await t.test('speaks Russian, and forgets with the session', async (t) => {
      await page.getByLabel('Language').selectOption('ru')
      await page.getByRole('heading', { level: 1, name: 'Отчёты' }).waitFor()
      t.ok(await fitsPhone(page))
      await page.getByRole('button', { name: 'Выйти' }).click()
      await page.getByRole('heading', { level: 1, name: 'Вход' }).waitFor()
      t.equal(await page.evaluate(() => sessionStorage.length), 0)
    })

    t.same(problems, [])
  })
)
