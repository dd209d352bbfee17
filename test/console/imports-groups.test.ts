import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { withBrowser } from '../support/browser.ts'
import { findFaultsOfThemes, fitsPhone, signIn } from '../support/console.ts'
import { startHttpFaultProxy } from '../support/http-fault-proxy.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { createFolder, startService } from '../support/service.ts'

const USERS = 100_000
const HOSTILE = '<img src=x onerror="document.title=1">'

const keys = {
  reader: makeKey('analyst', 'reader'),
  editor: makeKey('support', 'editor'),
  admin: makeKey('marketing', 'admin')
}

t.test('imports and groups of the console, in a browser', (t) =>
  withBrowser(async (page) => {
    const service = await startService(t, { API_KEYS: configureKeys(...Object.values(keys)) })
    const { headers } = keys.admin
    await service.post('/api/v1/segment', { slug: 'PROMO_5' }, headers)
    const proxy = await startHttpFaultProxy(t, await service.app.listen({ host: '127.0.0.1', port: 0 }))
    const address = proxy.url
    const problems: string[] = []
    page.on('pageerror', ({ message }) => problems.push(message))
    page.on('response', (response) => {
      if (response.status() >= 400 && !response.url().includes('/api/')) problems.push(response.url())
    })
    const folder = await createFolder(t)
    const choose = async (name: string, content: string) => {
      const path = join(folder, name)
      await writeFile(path, content)
      await page.getByLabel('File').setInputFiles(path)
    }
    const button = (name: string | RegExp) => page.getByRole('button', { name })
    const heading = (name: string) => page.getByRole('heading', { name, exact: true })
    const check = async () => {
      await button('Check the file').click()
      await heading('What will change').waitFor()
    }
    const readMembers = async (slug: string) => {
      const { body } = await service.get(`/api/v1/segment/${slug}`, headers)
      return Number(Object(body).members)
    }
    const uploads = () => proxy.seen.filter(({ method, path }) => method !== 'GET' && /users/.test(path))
    const dialog = page.getByRole('dialog')

    await t.test('imports need an editor', async (t) => {
      await signIn(page, address, keys.reader, '/imports')
      await page.getByText('Your key may not import users').waitFor()
      t.equal(await page.locator('input[type=file]').count(), 0)
    })

    await t.test(
      'a file is counted line by line, and changes nothing before that is confirmed',
      async (t) => {
        await signIn(page, address, keys.editor, '/imports?segment=PROMO_5')
        await choose('users.xlsx', 'PK')
        await page.getByText('Save it as CSV').waitFor()
        t.ok(await button('Check the file').isDisabled())
        await choose('some.csv', `user_id\n1\nten\n${HOSTILE}\n2\n`)
        await check()
        const rejected = page.getByRole('table', { name: 'Rejected lines' })
        t.same(
          (await rejected.getByRole('row').allInnerTexts()).map((row) => row.split('\t').slice(0, 2)),
          [
            ['Line', 'Value'],
            ['3', 'ten'],
            ['4', HOSTILE]
          ]
        )
        const add = button('Add 2 users to PROMO_5')
        t.ok(await add.isDisabled(), 'rejected lines must be skipped by choice')
        t.same(await findFaultsOfThemes(page), [])
        t.ok(await fitsPhone(page))
        t.equal(await readMembers('PROMO_5'), 0)
        await page.getByLabel('Skip the rejected lines').check()
        await add.click()
        await page.getByText('2 users joined PROMO_5.').waitFor()
        t.equal(await readMembers('PROMO_5'), 2)
        t.same(await findFaultsOfThemes(page), [])
      }
    )

    await t.test(
      'a large file shows its progress, and takes effect once though an answer is lost',
      async (t) => {
        const lines = Array.from({ length: USERS }, (_, index) => index + 1).join('\n')
        await choose('large.csv', `${lines}\n`)
        await check()
        proxy.planFor('/users', 'lost', 'delayed')
        await button('Add 99,998 users to PROMO_5').click()
        await page.getByText('It is taking effect').waitFor()
        t.equal(await page.locator('progress').getAttribute('value'), null, 'nobody knows how far that is')
        await page.getByText('does not stop any more').waitFor()
        // The import goes on while another page is shown.
        await page.getByRole('link', { name: 'Groups' }).click()
        await page.getByText('No groups yet').waitFor()
        await page.getByRole('link', { name: 'Imports' }).click()
        while (proxy.delayed === 0) await page.waitForTimeout(50)
        proxy.release()
        await page.getByText('99,998 users joined PROMO_5.').waitFor()
        t.equal(await readMembers('PROMO_5'), USERS)
        const [first, second] = uploads().map(({ headers }) => headers['idempotency-key'])
        t.ok(first && first === second)
      }
    )

    await t.test('an upload that is cancelled changes nothing', async (t) => {
      // More than connections buffer, and nobody reads it.
      await choose('endless.csv', '\n'.repeat(48 * 1024 * 1024))
      proxy.planFor('/users', 'silent')
      await button('Check the file').click()
      await page.getByText(/^[1-9][\d.]* [kM]B of 50\.3 MB sent$/).waitFor()
      await button('Cancel').click()
      await page.getByText('Cancelled. Nothing has changed.').first().waitFor()
      t.equal(await readMembers('PROMO_5'), USERS)
    })

    await t.test('the members are replaced by no more than was shown', async (t) => {
      await service.post('/api/v1/segment', { slug: 'SMALL' }, headers)
      for (const id of [1, 2, 3, 4, 5]) {
        await service.post(`/api/v1/segments/user/${id}`, { segments_to_add: ['SMALL'] }, headers)
      }
      await page.getByLabel('Replace the members').check()
      await page.getByLabel('Segment', { exact: true }).fill('small')
      await choose('few.csv', '1\n2\n200000\n')
      await check()
      await page.getByText('1 user will join SMALL, 3 users will leave.').first().waitFor()
      await service.post('/api/v1/segments/user/300000', { segments_to_add: ['SMALL'] }, headers)
      const replace = async () => {
        await button('Replace SMALL').click()
        t.ok(await dialog.getByRole('button', { name: 'Replace SMALL' }).isDisabled())
        await dialog.getByLabel('Type SMALL').fill('small')
        t.same(await findFaultsOfThemes(page), [])
        await dialog.getByRole('button', { name: 'Replace SMALL' }).click()
      }
      await replace()
      t.match(
        await page.getByRole('alert').innerText(),
        /4 users would be removed[\s\S]*TOO_MANY_REMOVED · Request/
      )
      t.equal(await readMembers('SMALL'), 6)
      await button('Check again').click()
      await page.getByText('4 users will leave').first().waitFor()
      await replace()
      await page.getByText('1 user joined SMALL, 4 users left.').waitFor()
      t.equal(await readMembers('SMALL'), 3)
      t.match(page.url(), /\?action=replace&segment=small$/, 'a link shows the same form')
    })

    await t.test('a newcomer starts an experiment with a control', async (t) => {
      await signIn(page, address, keys.admin, '')
      await page.getByRole('link', { name: 'Groups' }).click()
      await button('Start an experiment').click()
      await dialog.getByLabel('Name of the experiment').fill('checkout')
      const preview = dialog.getByRole('table')
      await preview.getByText('CHECKOUT_CONTROL').waitFor()
      t.same(
        (await preview.getByRole('row').allInnerTexts()).slice(1).map((row) => row.split('\t')),
        [
          ['CHECKOUT_TREATMENT', '10%', '10,001'],
          ['CHECKOUT_CONTROL', '10%', '10,001']
        ]
      )
      await dialog.getByLabel('Treatment').fill('95')
      await dialog.getByText(/are needed, but only 100,002 are free/).waitFor()
      t.ok(await dialog.getByRole('button', { name: 'Start an experiment' }).isDisabled())
      await dialog.getByLabel('Treatment').fill('10')
      t.same(await findFaultsOfThemes(page), [])
      // The group and the first segment are created, and then the service is away.
      proxy.planFor('/api/v1/segment', 'none', 'away')
      await dialog.getByRole('button', { name: 'Start an experiment' }).click()
      await dialog.getByText('Created so far: CHECKOUT, CHECKOUT_TREATMENT.').waitFor()
      await dialog.getByRole('button', { name: 'Start an experiment' }).click()
      await heading('CHECKOUT').waitFor()
      const table = page.getByRole('table', { name: 'Allocation' })
      await table.getByRole('row', { name: /CHECKOUT_CONTROL 10,001 10%/ }).waitFor()
      await table.getByRole('row', { name: /Free 80,000/ }).waitFor()
      await page.getByRole('img', { name: /CHECKOUT_TREATMENT 10,001.*Free 80,000/ }).waitFor()
      t.same(await findFaultsOfThemes(page), [])
      t.ok(await fitsPhone(page))
      const { body } = await service.get('/api/v1/groups/CHECKOUT', headers)
      t.match(body, { members: 20_002, segments: [{ selection: 0.1, enroll_new_users: true }, {}] })
    })

    await t.test('overlaps of the group, and of any segments', async (t) => {
      await page.getByRole('link', { name: 'Overlap' }).click()
      await page.getByText('Nobody is in two of these segments.').waitFor()
      await service.post('/api/v1/segment', { slug: 'ALL', selection: 1 }, headers)
      await page.getByLabel('Segments to compare').fill('all, checkout_control')
      await button('Compare').click()
      const pairs = page.getByRole('table', { name: 'Users in both' })
      await pairs.getByRole('row', { name: /ALL CHECKOUT_CONTROL 10,001 10% 100%/ }).waitFor()
      t.match(page.url(), /tab=overlap&compare=ALL%2CCHECKOUT_CONTROL$/)
      t.same(await findFaultsOfThemes(page), [])
      t.ok(await fitsPhone(page))
      await page.getByLabel('Segments to compare').fill('all, none')
      await button('Compare').click()
      await page.getByText('SEGMENTS_NOT_FOUND · Request').waitFor()
    })

    await t.test('a group is deleted after it was said what stays', async (t) => {
      await button('Delete group').click()
      await dialog.getByText('2 segments will stay as they are').waitFor()
      await dialog.getByLabel('Type CHECKOUT').fill('CHECKOUT')
      await dialog.getByRole('button', { name: 'Delete group' }).click()
      await page.getByText('deleted', { exact: true }).waitFor()
      t.equal(await readMembers('CHECKOUT_CONTROL'), 10_001)
      await signIn(page, address, keys.reader, '/groups/NOWHERE')
      await page.getByText('There is no such group').waitFor()
      await page.getByRole('link', { name: 'To the groups' }).click()
      await heading('Groups').waitFor()
      t.equal(await button('New group').count(), 0, 'a reader creates none')
    })

    t.not(await page.title(), '1')
    t.same(problems, [], 'nothing has failed')
  })
)
