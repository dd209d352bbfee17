import type { Page } from 'playwright-core'
import t from 'tap'
import { withBrowser } from '../support/browser.ts'
import { findFaultsOfThemes, fitsPhone, signIn } from '../support/console.ts'
import { startHttpFaultProxy } from '../support/http-fault-proxy.ts'
import { makeKey } from '../support/keys.ts'
import { startService } from '../support/service.ts'

/** For what is waited for. The machine of a test may be busy. */
const PATIENCE_MS = 60_000

const key = makeKey('support', 'admin')
const { headers } = key
const nowhere = 'http://127.0.0.1:1'

const HOSTILE = '<img src=x onerror="document.title=1">'

/** What the rows of the table say, newest first. */
const listRows = (page: Page) =>
  page
    .getByRole('table', { name: 'Changes' })
    .locator('tbody tr:not([aria-hidden])')
    .evaluateAll((rows) => rows.map((row) => row.textContent))

t.test('the page of changes, in a browser', (t) =>
  withBrowser(async (page) => {
    const service = await startService(t, { API_KEYS: key.setting })
    const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
    const proxy = await startHttpFaultProxy(t, address)
    const problems: string[] = []
    page.on('pageerror', ({ message }) => problems.push(message))
    page.on('response', (response) => {
      if (response.status() >= 400 && !response.url().includes('/api/')) problems.push(response.url())
    })
    page.setDefaultTimeout(PATIENCE_MS)
    const create = (body: object) => service.post('/api/v1/segment', body, headers)
    const change = (userId: number, body: object) =>
      service.post(`/api/v1/segments/user/${userId}`, body, headers)
    const row = (text: string | RegExp) => page.getByRole('row').filter({ hasText: text })
    const button = (name: string) => page.getByRole('button', { name, exact: true })
    await create({ slug: 'EARLIER' })

    await t.test('shows what happens, with who, why and when', async (t) => {
      await signIn(page, proxy.url, key, '/changes')
      await page.getByText('Waiting for changes').waitFor()
      await page.getByText('Up to date as of').waitFor()
      t.same(await findFaultsOfThemes(page), [])
      await create({ slug: 'PROMO_5', description: HOSTILE })
      await row('segment created').getByText(HOSTILE).waitFor()
      await change(10, { segments_to_add: [{ slug: 'PROMO_5', expires_at: '2100-01-01T00:00:00Z' }] })
      await row('joined').getByText('until').waitFor()
      await change(10, { segments_to_delete: ['PROMO_5'] })
      await row('removed by name').waitFor()
      const [last, before] = await listRows(page)
      t.match(last, /^left10PROMO_5.*removed by namesupport$/)
      t.match(before, /^joined10PROMO_5until .*added by namesupport$/)
      t.equal(await row('EARLIER').count(), 0)
      t.equal(await row('left').getByRole('link', { name: '10' }).getAttribute('href'), '/console/users/10')
      t.same(await findFaultsOfThemes(page), [])
      t.ok(await fitsPhone(page))
      t.not(await page.title(), '1')
    })

    await t.test('keeps still while it is paused or read, and goes on without a loss', async (t) => {
      await button('Pause').click()
      await change(11, { segments_to_add: ['PROMO_5'] })
      await button('1 new: show').waitFor()
      t.equal(await row('11PROMO_5').count(), 0)
      await button('Resume').click()
      await row('11PROMO_5').waitFor()

      const users = Array.from({ length: 300 }, (_, index) => 1_000 + index)
      await service.request({
        method: 'POST',
        url: '/api/v1/segment/PROMO_5/users',
        headers: { ...headers, 'content-type': 'text/csv' },
        body: users.join('\n')
      })
      await row('1299').waitFor()
      await page.evaluate('scrollTo(0, 4_000)')
      await change(12, { segments_to_add: ['PROMO_5'] })
      await button('1 new: show').click()
      await row('joined12PROMO_5').waitFor()
      t.equal(await page.evaluate('scrollY'), 0)
      t.ok((await page.getByRole('row').count()) < 100, 'only what is visible has elements')
    })

    await t.test('shows the past, filtered, by an address that can be shared', async (t) => {
      await button('Since yesterday').click()
      await row('PROMO_5').first().waitFor()
      await page.getByLabel('User', { exact: true }).fill('10')
      await button('Filter').click()
      await row('joined').waitFor()
      t.equal((await listRows(page)).length, 2)
      t.match(page.url(), /\?since=day&user=10$/)
      await signIn(page, proxy.url, key, '/changes?since=start&segment=EARLIER')
      await row('EARLIER').waitFor()
      t.equal((await listRows(page)).length, 1)
      t.equal(await page.getByLabel('Segment', { exact: true }).inputValue(), 'EARLIER')
      await page.getByLabel('Segment', { exact: true }).fill('NEVER')
      await page.keyboard.press('Enter')
      await page.getByText('There has never been such a segment').waitFor()
      await button('Show all').click()
      await row('EARLIER').or(row('1299')).first().waitFor()
    })

    await t.test('says that the service is away, and misses nothing meanwhile', async (t) => {
      await signIn(page, proxy.url, key, '/changes')
      await page.getByText('Up to date as of').waitFor()
      proxy.moveTo(nowhere)
      await page.getByText('The last answer came at').waitFor()
      t.match(await page.getByRole('alert').innerText(), 'CONNECTION_FAILED')
      t.same(await findFaultsOfThemes(page), [])
      for (const userId of [21, 22, 23]) await change(userId, { segments_to_add: ['PROMO_5'] })
      await service.request({ method: 'DELETE', url: '/api/v1/segment/PROMO_5', headers })
      proxy.moveTo(address)
      await row('segment deleted').waitFor()
      await page.getByText('Up to date as of').waitFor()
      t.same(
        (await listRows(page)).map((text) => text.split('PROMO_5')[0]),
        ['segment deleted', 'joined23', 'joined22', 'joined21']
      )
      await page.getByRole('status').filter({ hasText: 'The service is back' }).waitFor()
    })

    await t.test('says which changes are no longer kept, and goes on from now', async () => {
      await service.sql`truncate changes`
      await create({ slug: 'LOST' })
      await page.getByText(/^What happened between .* is missing here\./).waitFor()
      await create({ slug: 'NEXT' })
      await row('NEXT').waitFor()
    })

    await t.test('speaks Russian', async (t) => {
      await page.getByLabel('Language').selectOption('ru')
      await page.getByText('Актуально на').waitFor()
      t.ok(await fitsPhone(page))
    })

    t.same(problems, [])
  })
)
