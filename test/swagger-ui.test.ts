import t from 'tap'
import { withBrowser } from './support/browser.ts'
import { startService } from './support/service.ts'

t.test('in a browser, Swagger UI creates a segment with "Try it out" and shows the answer', async (t) => {
  const service = await startService(t)
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  await service.changeSegments(10)

  await withBrowser(async (page) => {
    const problems: string[] = []
    page.on('pageerror', ({ message }) => problems.push(message))
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text())
    })
    page.on('requestfailed', (request) => problems.push(`${request.url()} failed`))
    await page.goto(`${address}/swagger/index.html`)

    /** Tries an operation with its example, or with another body, and returns what the page shows of the answer. */
    const tryOut = async (method: string, path: string, body?: string) => {
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

    const created = await tryOut('post', '/api/v1/segment')
    t.match(created, { status: /^200/, url: `${address}/api/v1/segment` }, 'the example as it is')
    const changed = await tryOut(
      'post',
      '/api/v1/segments/user/{user_id}',
      '{"segments_to_add": ["avito_voice_messages"]}'
    )
    t.match(changed, { status: /^200/, url: `${address}/api/v1/segments/user/10` })
    const read = await tryOut('get', '/api/v1/segments/user/{user_id}')
    t.match(read, { status: /^200/, text: /"AVITO_VOICE_MESSAGES"/ })
    t.same(problems, [])

    const refused = await tryOut('delete', '/api/v1/segment/{slug}')
    t.match(refused, { status: /^200/ })
    t.same(await service.getSegments(10), { status: 200, body: [] })
  })
})
