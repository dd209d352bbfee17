import type { Locator, Page } from 'playwright-core'
import t from 'tap'
import { withBrowser } from '../support/browser.ts'
import { findFaultsOfThemes, fitsPhone, signIn } from '../support/console.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { startService, waitUntil } from '../support/service.ts'
import { startReceiver, verify } from '../support/webhook-receiver.ts'

const keys = {
  reader: makeKey('analyst', 'reader'),
  editor: makeKey('support', 'editor'),
  admin: makeKey('operator', 'admin')
}
const { headers } = keys.admin

const heading = (page: Page, name: string): Locator => page.getByRole('heading', { level: 1, name })

t.test('the pages of webhooks, in a browser', (t) =>
  withBrowser(async (page) => {
    const service = await startService(t, {
      API_KEYS: configureKeys(...Object.values(keys)),
      WEBHOOK_PRIVATE: 'on'
    })
    const receiver = await startReceiver(t)
    const create = (slug: string) => service.post('/api/v1/segment', { slug }, headers)
    const add = (userId: number) =>
      service.post(`/api/v1/segments/user/${userId}`, { segments_to_add: ['WATCHED'] }, headers)
    await create('WATCHED')
    const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
    const problems: string[] = []
    page.on('pageerror', ({ message }) => problems.push(message))
    const dialog = page.getByRole('dialog')
    const button = (name: string, within: Page | Locator = page) =>
      within.getByRole('button', { name, exact: true })
    const newSecret = page.getByLabel('Secret of the deliveries')
    const readWebhooks = async () => {
      const { body } = await service.get('/api/v1/webhooks', headers)
      return (body as { webhooks: unknown[] }).webhooks
    }
    const untilReceived = (change: string) =>
      waitUntil(
        async () => receiver.changes,
        (changes) => changes.includes(change)
      )

    await t.test('are for administrators alone', async (t) => {
      for (const role of ['reader', 'editor'] as const) {
        for (const path of ['/webhooks', '/webhooks/1']) {
          await signIn(page, address, keys[role], path)
          await page.getByText('This needs the role admin').waitFor()
          t.equal(await page.getByRole('link', { name: 'Webhooks' }).count(), 0)
          t.equal(await button('New webhook').count(), 0)
        }
      }
      t.same(await findFaultsOfThemes(page), [])
    })

    await t.test('create one, after saying what will be delivered, and show its secret once', async (t) => {
      await signIn(page, address, keys.admin, '/webhooks')
      await page.getByText('No webhooks yet').waitFor()
      t.same(await findFaultsOfThemes(page), [])
      await button('New webhook').click()
      await dialog.getByLabel('URL').fill('ftp://x')
      await dialog.getByRole('alert').getByText('An http or https URL').waitFor()
      t.ok(await button('Create webhook', dialog).isDisabled())
      await dialog.getByLabel('URL').fill(receiver.url())
      await dialog.getByLabel('Segments').fill('watched, later')
      await dialog.getByText(/^Every change from now on goes to 127\.0\.0\.1:\d+.*WATCHED, LATER/).waitFor()
      t.same(await findFaultsOfThemes(page), [])
      await button('Create webhook', dialog).click()
      t.match(
        await dialog.getByRole('alert').innerText(),
        /SEGMENTS_NOT_FOUND · Request [\w-]{36}/,
        'the request can be found in the log'
      )
      await create('LATER')
      await button('Create webhook', dialog).click()
      await heading(page, 'Webhook 1').waitFor()
      const secret = await newSecret.inputValue()
      t.match(secret, /^whsec_/)
      t.match(await readWebhooks(), [{ url: receiver.url(), segments: ['WATCHED', 'LATER'] }])
      t.same(await findFaultsOfThemes(page), [])

      await add(1)
      const [delivery] = await receiver.received(1)
      if (!delivery) throw new Error('nothing was delivered')
      verify(secret, delivery)

      await page.getByRole('link', { name: 'Webhooks' }).click()
      await page.getByRole('link', { name: receiver.url() }).click()
      t.equal(await newSecret.inputValue(), secret, 'it is still at hand')
      await button('I have stored it').click()
      await newSecret.waitFor({ state: 'detached' })
      await page.goBack()
      await heading(page, 'Webhooks').waitFor()
      await page.goForward()
      await button('Pause').waitFor()
      t.equal(await newSecret.count(), 0)
    })

    await t.test('pause it, and resume it from another place', async (t) => {
      await button('Pause').click()
      await dialog.getByText('Nothing is delivered until it is resumed').waitFor()
      t.match(await readWebhooks(), [{ state: 'active' }], 'nothing has changed yet')
      await button('Pause', dialog).click()
      await button('Resume').waitFor()
      t.match(await readWebhooks(), [{ state: 'paused', pause_reason: 'requested' }])
      t.same(await findFaultsOfThemes(page), [])
      await add(2)

      await button('Resume').click()
      await dialog.getByText('Nothing is left out.').waitFor()
      const place = dialog.getByLabel('Continue', { exact: true })
      await place.selectOption('after a cursor')
      await dialog.getByLabel('Cursor').fill('no cursor')
      await button('Resume', dialog).click()
      t.match(await dialog.getByRole('alert').innerText(), /INVALID_CURSOR · Request [\w-]{36}/)
      t.same(await findFaultsOfThemes(page), [])
      await place.selectOption('from now on')
      await dialog.getByText('are left out for good').waitFor()
      await button('Resume', dialog).click()
      await button('Pause').waitFor()
      await add(3)
      await untilReceived('membership_added 3 WATCHED')
      t.notOk(receiver.changes.includes('membership_added 2 WATCHED'), 'it was left out')

      await button('Continue from…').click()
      await place.selectOption('from the oldest change that is kept')
      await dialog.getByText('All changes that are kept are delivered').waitFor()
      await button('Continue', dialog).click()
      await untilReceived('membership_added 2 WATCHED')
    })

    await t.test('show why deliveries fail', async (t) => {
      receiver.answer = () => 500
      await add(4)
      await page.getByText('failing, is retried').waitFor()
      await page.getByText('Last error').waitFor()
      t.match(await page.locator('main').innerText(), /the receiver answered 500/)
      t.same(await findFaultsOfThemes(page), [])
      t.ok(await fitsPhone(page))
      await page.getByRole('link', { name: 'Webhooks' }).click()
      await page.getByText('failing, is retried').waitFor()
      t.same(await findFaultsOfThemes(page), [])
      t.ok(await fitsPhone(page))
    })

    await t.test('delete it, after its host was typed', async (t) => {
      await page.getByRole('link', { name: receiver.url() }).click()
      await button('Delete webhook').click()
      t.ok(await button('Delete webhook', dialog).isDisabled())
      t.same(await findFaultsOfThemes(page), [])
      await dialog.getByLabel('Type 127.0.0.1').fill(new URL(receiver.url()).host)
      await button('Delete webhook', dialog).click()
      await page.getByText('No webhooks yet').waitFor()
      t.same(await readWebhooks(), [])
      for (const id of ['1', 'x']) {
        await signIn(page, address, keys.admin, `/webhooks/${id}`)
        await page.getByText('There is no such webhook').waitFor()
      }
    })

    await t.test('speak Russian', async () => {
      await signIn(page, address, keys.admin, '/webhooks')
      await page.getByLabel('Language').selectOption('ru')
      await heading(page, 'Вебхуки').waitFor()
      await button('Новый вебхук').click()
      await dialog.getByLabel('Адрес').fill('https://получатель.рф/hook')
      await dialog.getByText(/^Все изменения с этого момента/).waitFor()
    })

    t.same(problems, [])
  })
)
