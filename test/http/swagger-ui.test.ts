import type { Page } from 'playwright-core'
import t from 'tap'
import { withBrowser } from '../support/browser.ts'
import { makeKey } from '../support/keys.ts'
import { startService } from '../support/service.ts'

/** Whatever the page could not load or run, as it comes. */
function collectProblems(page: Page): string[] {
  const problems: string[] = []
  page.on('pageerror', ({ message }) => problems.push(message))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
  page.on('requestfailed', (request) => problems.push(`${request.url()} failed`))
  return problems
}

/** Tries an operation with its example, or with another body, and returns what the page shows of the answer. */
async function tryOut(page: Page, method: string, path: string, body?: string) {
  const operation = page.locator(`.opblock-${method}`, { has: page.locator(`[data-path="${path}"]`) })
  await operation.locator('.opblock-summary-control').click()
  await operation.getByRole('button', { name: 'Try it out' }).click()
  if (body !== undefined) await operation.locator('textarea.body-param__text').fill(body)
  await operation.getByRole('button', { name: 'Execute' }).click()
  const answer = operation.locator('.live-responses-table tr.response').first()
  return {
    status: await answer.locator('.response-col_status').innerText(),
    text: await answer.locator('.response-col_description').innerText(),
    url: await operation.locator('.request-url pre').innerText()
  }
}

t.test('Swagger UI, in a browser', (t) =>
  withBrowser(async (page) => {
    await t.test('creates a segment with "Try it out" and shows the answer', async (t) => {
      const service = await startService(t)
      const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
      await service.changeSegments(10)
      const problems = collectProblems(page)
      await page.goto(`${address}/swagger/index.html`)

      const created = await tryOut(page, 'post', '/api/v1/segment')
      t.match(created, { status: /^200/, url: `${address}/api/v1/segment` }, 'the example as it is')
      const changed = await tryOut(
        page,
        'post',
        '/api/v1/segments/user/{user_id}',
        '{"segments_to_add": ["avito_voice_messages"]}'
      )
      t.match(changed, { status: /^200/, url: `${address}/api/v1/segments/user/10` })
      const read = await tryOut(page, 'get', '/api/v1/segments/user/{user_id}')
      t.match(read, { status: /^200/, text: /"AVITO_VOICE_MESSAGES"/ })
      t.same(problems, [])

      const refused = await tryOut(page, 'delete', '/api/v1/segment/{slug}')
      t.match(refused, { status: /^200/ })
      t.same(await service.getSegments(10), { status: 200, body: [] })
    })

    await t.test('takes the secret of a key with "Authorize", and forgets it with the page', async (t) => {
      const key = makeKey('analyst', 'reader')
      const service = await startService(t, { API_KEYS: key.setting })
      await service.sql`insert into segments (slug) values ('VOICE_MSG')`
      await service.sql`select change_user_segments(10, '{VOICE_MSG}', '{}')`
      const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
      const problems = collectProblems(page)
      await page.goto(`${address}/swagger`)
      const readUser = () => tryOut(page, 'get', '/api/v1/segments/user/{user_id}')
      t.match(await readUser(), { status: /^401/, text: /"UNAUTHENTICATED"/ })

      await page.locator('.auth-wrapper').getByRole('button', { name: 'Authorize' }).click()
      const dialog = page.locator('.dialog-ux')
      await dialog.locator('input').fill(key.secret)
      await dialog.getByRole('button', { name: 'Apply credentials' }).click()
      await dialog.getByRole('button', { name: 'Close' }).first().click()
      const answered = await tryOut(page, 'post', '/api/v1/segments/users/query')
      t.match(answered, { status: /^200/, text: /"VOICE_MSG"/ })
      const refused = await tryOut(page, 'delete', '/api/v1/segment/{slug}')
      t.match(refused, { status: /^403/, text: /"FORBIDDEN"/ })

      await page.reload()
      t.match(await readUser(), { status: /^401/ }, 'a reload has forgotten it')
      const others = problems.filter((problem) => !/status of 40[13]/.test(problem))
      t.same(others, [], 'nothing but the refusals went wrong')
    })
  })
)
