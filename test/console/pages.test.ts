import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { withBrowser } from '../support/browser.ts'
import { findFaults, PATIENCE_MS, signIn } from '../support/console.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { startService, type TestService } from '../support/service.ts'

const HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'

const keys = {
  reader: makeKey('analyst', 'reader'),
  editor: makeKey('support', 'editor'),
  admin: makeKey('marketing', 'admin')
}

type Shown = { service: TestService; address: string; problems: string[] }

/** A service with three keys, 40 users and some segments; and what a page failed to load or run. */
async function startConsole(t: Test, page: Page): Promise<Shown> {
  const service = await startService(t, { API_KEYS: configureKeys(...Object.values(keys)) })
  const { headers } = keys.admin
  const users = Array.from({ length: 40 }, (_, index) => index + 1).join('\n')
  await service.request({
    method: 'POST',
    url: '/api/v1/users',
    headers: { ...headers, 'content-type': 'text/csv' },
    body: `${users}\n`
  })
  const create = (body: object) => service.post('/api/v1/segment', body, headers)
  await create({ slug: 'PROMO_5', description: 'Five per cent off' })
  await create({ slug: 'HALF', selection: 0.5 })
  await create({ slug: 'HOSTILE', description: HOSTILE })
  await create({ slug: 'OLD' })
  await service.request({ method: 'DELETE', url: '/api/v1/segment/OLD', headers })
  await service.post('/api/v1/segments/user/10', { segments_to_add: ['PROMO_5'] }, keys.editor.headers)
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  page.setDefaultTimeout(PATIENCE_MS)
  const problems: string[] = []
  page.on('pageerror', ({ message }) => problems.push(message))
  page.on('console', (message) => {
    const isAnswer = message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !isAnswer) problems.push(message.text())
  })
  // The API refuses some requests of these tests. Files are never missing.
  page.on('response', (response) => {
    if (response.status() >= 400 && !response.url().includes('/api/')) problems.push(response.url())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(address) && !request.url().startsWith('data:')) problems.push(request.url())
  })
  return { service, address, problems }
}

t.test('the console, in a browser', (t) =>
  withBrowser(async (page) => {
    const { service, address, problems } = await startConsole(t, page)
    const heading = (name: string) => page.getByRole('heading', { level: 1, name, exact: true })

    await t.test('asks for a key, and takes no other', async (t) => {
      await page.goto(`${address}/console/users/10?at=2026-01-01T00:00:00Z`)
      for (const wrong of ['wrong', 'ключ']) {
        await page.getByLabel('API key').fill(wrong)
        await page.getByRole('button', { name: 'Sign in' }).click()
        await page.getByText('This matches no API key.').waitFor()
      }
      t.same(await findFaults(page), [])
      await page.getByLabel('API key').fill(keys.reader.secret)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await heading('User 10').waitFor()
      t.equal(
        page.url(),
        `${address}/console/users/10?at=2026-01-01T00:00:00Z`,
        'the place that was asked for'
      )
      t.same(
        await page.evaluate('[sessionStorage.length, document.cookie]'),
        [0, ''],
        'the key is kept nowhere'
      )
      await page.reload()
      await heading('Sign in').waitFor()
      await page.getByLabel('Keep it until').check()
      await page.getByLabel('API key').fill(keys.reader.secret)
      await page.getByLabel('API key').press('Enter')
      await heading('User 10').waitFor()
      await page.reload()
      await heading('User 10').waitFor()
      await page.getByRole('button', { name: 'Sign out' }).click()
      await heading('Sign in').waitFor()
      t.equal(await page.evaluate('sessionStorage.length'), 0)
    })

    await t.test('offers what the role allows', async (t) => {
      const offers: Record<string, boolean[]> = {}
      for (const role of ['reader', 'editor', 'admin'] as const) {
        await signIn(page, address, keys[role], '/segments/PROMO_5')
        await page.getByText('Size over time').waitFor()
        const offered = [await page.getByRole('button', { name: 'Delete segment' }).count()]
        await signIn(page, address, keys[role], '/users/10')
        await page.getByRole('table', { name: 'Segments at a moment' }).waitFor()
        for (const name of ['Add to a segment', 'Remove from PROMO_5', 'Erase user']) {
          offered.push(await page.getByRole('button', { name }).count())
        }
        offers[role] = offered.map((count) => count > 0)
      }
      t.same(offers, {
        reader: [false, false, false, false],
        editor: [false, true, true, false],
        admin: [true, true, true, true]
      })
    })

    await t.test('lists segments, searches them, and shows hostile texts as texts', async (t) => {
      await signIn(page, address, keys.reader)
      const table = page.getByRole('table', { name: 'Segments' })
      const slugs = () => table.getByRole('rowheader').or(table.locator('tbody a.mono')).allInnerTexts()
      await table.waitFor()
      t.same(await slugs(), ['HALF', 'HOSTILE', 'PROMO_5'])
      await table.getByText(HOSTILE).waitFor()
      await page.keyboard.press('/')
      await page.keyboard.type('five')
      await page.getByText('1 shown', { exact: true }).first().waitFor()
      t.same(await slugs(), ['PROMO_5'])
      t.match(page.url(), /\?q=five$/)
      await page.getByRole('searchbox', { name: 'Search slugs' }).fill('nowhere')
      await page.getByText('No segment matches').waitFor()
      await page.getByRole('searchbox', { name: 'Search slugs' }).fill('')
      await page.getByLabel('Show deleted').check()
      await page.getByRole('link', { name: 'OLD', exact: true }).waitFor()
      await page.goBack()
      t.not(await page.title(), '1')
    })

    await t.test('says in three steps why a user was in a segment last Tuesday', async (t) => {
      await service.sql`alter table memberships disable trigger user`
      await service.sql`
        update memberships set added_at = now() - interval '30 days'
        where segment_id = (select id from segments where slug = 'PROMO_5')`
      await signIn(page, address, keys.reader)
      const input = page.getByRole('searchbox', { name: 'Go to a user' })
      await input.fill('10')
      await input.press('Enter')
      await heading('User 10').waitFor()
      const days = page.getByRole('group', { name: 'Segments at a moment' })
      await days
        .getByRole('button', { name: /^Tue/ })
        .or(days.getByRole('button', { name: 'Yesterday' }))
        .first()
        .click()
      await page.getByText(/In 1 segment on/).waitFor()
      const row = page.getByRole('table', { name: 'Segments at a moment' }).getByRole('row').nth(1)
      t.match(await row.innerText(), /PROMO_5[\s\S]*added by name, by support/)
      t.match(page.url(), /\?at=\d{4}-\d\d-\d\dT\d\d%3A00%3A00Z$/, 'the address shows the same to others')
    })

    await t.test('changes segments and users, after it has said what will change', async (t) => {
      await signIn(page, address, keys.admin)
      await page.getByRole('button', { name: 'New segment' }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByLabel('Slug').fill('new_one')
      await dialog.getByLabel('Add a share').check()
      await dialog.getByLabel('Share, in per cent').fill('7,5')
      await dialog.getByText('NEW_ONE will be created with 3 users, chosen at random.').waitFor()
      t.same(await findFaults(page), [])
      await dialog.getByRole('button', { name: 'Create segment' }).click()
      await heading('NEW_ONE').waitFor()
      await page.getByRole('link', { name: 'Share', exact: true }).click()
      await page.getByLabel('Share, in per cent').fill('50')
      await page.getByText('50% of 40 users are 20. About 17 will join.').waitFor()
      await page.getByRole('button', { name: 'Change the share' }).click()
      await dialog.getByRole('button', { name: 'Change the share' }).click()
      await page.locator('dl').getByText('50%').waitFor()
      const { body } = await service.get('/api/v1/segment/NEW_ONE', keys.reader.headers)
      t.match(body, { members: 20, selection: 0.5 })
      await page.getByRole('button', { name: 'Delete segment' }).click()
      const confirm = dialog.getByRole('button', { name: 'Delete segment' })
      t.ok(await confirm.isDisabled())
      await dialog.getByLabel('Type NEW_ONE').fill('new_one')
      await confirm.click()
      await page.getByText('deleted').first().waitFor()
      t.match((await service.get('/api/v1/segment/NEW_ONE', keys.reader.headers)).body, {
        deleted_at: String
      })

      await page.getByRole('searchbox', { name: 'Go to a user' }).fill('77')
      await page.keyboard.press('Enter')
      await page.getByText('The service has never seen this user').waitFor()
      await page.getByRole('button', { name: 'Add to a segment' }).click()
      await dialog.getByLabel('Segment', { exact: true }).fill('half')
      await dialog.getByRole('button', { name: 'Add to a segment' }).click()
      await page.getByRole('button', { name: 'Remove from HALF' }).click()
      await dialog.getByRole('button', { name: 'Remove' }).click()
      await page.getByText('In no segment').waitFor()
      t.same((await service.get('/api/v1/segments/user/77', keys.reader.headers)).body, [])
    })

    await t.test('shows errors with what identifies their request', async (t) => {
      await signIn(page, address, keys.admin)
      await page.getByRole('button', { name: 'New segment' }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByLabel('Slug').fill('PROMO_5')
      await dialog.getByRole('button', { name: 'Create segment' }).click()
      const alert = dialog.getByRole('alert')
      t.match(await alert.innerText(), /already exists[\s\S]*SEGMENT_ALREADY_EXISTS · Request [\w-]{36}/)
      await page.keyboard.press('Escape')
      await dialog.waitFor({ state: 'detached' })
    })

    await t.test('works by the keyboard alone', async (t) => {
      await page.goto(`${address}/console`)
      await page.getByLabel('API key').fill(keys.reader.secret)
      await page.getByLabel('Keep it until').check()
      await page.keyboard.press('Enter')
      await page.getByRole('link', { name: 'HALF' }).waitFor()
      await page.reload()
      await page.getByRole('link', { name: 'HALF' }).waitFor()
      await page.keyboard.press('Tab')
      t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to content')
      await page.keyboard.press('Enter')
      const focused = () => page.evaluate('document.activeElement.textContent')
      for (let presses = 0; presses < 5 && (await focused()) !== 'HALF'; presses += 1) {
        await page.keyboard.press('Tab')
      }
      await page.keyboard.press('Enter')
      // The heading of the new page has the focus.
      await page.locator('h1:focus', { hasText: 'HALF' }).waitFor()
      const plot = page.getByRole('img', { name: /^Size of HALF/ })
      await plot.focus()
      await page.keyboard.press('ArrowLeft')
      await page.keyboard.press('ArrowRight')
      await page.getByRole('status').filter({ hasText: /: 20$/ }).waitFor()
      await page.getByRole('button', { name: 'Sign out' }).press('Enter')
      await heading('Sign in').waitFor()
    })

    await t.test('speaks Russian, and remembers it', async (t) => {
      await signIn(page, address, keys.reader)
      await page.getByLabel('Language').focus()
      await page.getByLabel('Language').selectOption('ru')
      await heading('Сегменты').waitFor()
      t.equal(await page.evaluate('document.activeElement.value'), 'ru', 'the focus stays')
      await page.goto(`${address}/console/users/10`)
      await heading('Вход').waitFor()
      t.equal(await page.evaluate('document.documentElement.lang'), 'ru')
      await page.getByLabel('Ключ API').fill(keys.reader.secret)
      await page.getByRole('button', { name: 'Войти' }).click()
      await page.getByText('Сейчас: 1 сегмент').or(page.getByText('Сейчас: 2 сегмента')).waitFor()
      await page.getByLabel('Язык').selectOption('en')
    })

    for (const colorScheme of ['light', 'dark'] as const) {
      await t.test(`is accessible, ${colorScheme}`, async (t) => {
        await page.emulateMedia({ colorScheme })
        for (const [path, text] of [
          ['', 'HALF'],
          ['/segments/HALF', 'created'],
          ['/segments/HALF?tab=members&user=10', 'User 10'],
          ['/segments/HALF?tab=share', 'Change the share'],
          ['/users/10', 'joined'],
          ['/nowhere', 'There is no such page']
        ] as const) {
          await signIn(page, address, keys.admin, path)
          await page.getByText(text).first().waitFor()
          t.same(await findFaults(page), [], path)
        }
      })
    }

    await t.test('fits 360 pixels', async (t) => {
      await page.setViewportSize({ width: 360, height: 800 })
      for (const path of ['', '/segments/HALF', '/users/10']) {
        await signIn(page, address, keys.admin, path)
        await page.getByRole('table').first().waitFor()
        t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360, path)
      }
    })

    t.same(problems, [], 'nothing has failed, and nothing came from elsewhere')
  })
)
