import type { Locator, Page } from 'playwright-core'
import t from 'tap'
import { withBrowser } from '../support/browser.ts'
import { makeKey } from '../support/keys.ts'
import { startService } from '../support/service.ts'

/** Collects everything that the page fails to load or run. */
function collectProblems(page: Page): string[] {
  const problems: string[] = []
  page.on('pageerror', ({ message }) => problems.push(message))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
  page.on('requestfailed', (request) => problems.push(`${request.url()} failed`))
  return problems
}

function findOperation(page: Page, method: string, path: string): Locator {
  return page.locator(`.opblock-${method}`, { has: page.locator(`[data-path="${path}"]`) })
}

/** The response as the page shows it. */
type ShownAnswer = { status: string; text: string; url: string }

async function execute(operation: Locator): Promise<ShownAnswer> {
  await operation.getByRole('button', { name: 'Execute' }).click()
  await operation.locator('.loading-container').waitFor({ state: 'detached' })
  const answer = operation.locator('.live-responses-table tr.response').first()
  return {
    status: await answer.locator('.response-col_status').innerText(),
    text: await answer.locator('.response-col_description').innerText(),
    url: await operation.locator('.request-url pre').innerText()
  }
}

/** Tries an operation with its examples, and uploads a file if the operation takes one. */
async function tryOut(operation: Locator): Promise<ShownAnswer> {
  await operation.locator('.opblock-summary-control').click()
  await operation.getByRole('button', { name: 'Try it out' }).click()
  const chooser = operation.locator('input[type="file"]')
  await operation.getByRole('button', { name: 'Execute' }).waitFor()
  if ((await operation.locator('.opblock-section-request-body').count()) > 0)
    await chooser.or(operation.locator('textarea.body-param__text')).waitFor()
  if ((await chooser.count()) > 0)
    await chooser.setInputFiles({ name: 'users.csv', mimeType: 'text/csv', buffer: Buffer.from('11\n12\n') })
  return execute(operation)
}

t.test('Swagger UI, in a browser', (t) =>
  withBrowser(async (page) => {
    await t.test('"Try it out" works on every operation, from the top to the bottom', async (t) => {
      const service = await startService(t)
      const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
      const problems = collectProblems(page)
      await page.goto(`${address}/swagger/index.html`)
      await page.locator('.opblock').first().waitFor()

      const answers: Record<string, ShownAnswer> = {}
      const tryOperation = async (operation: Locator) => {
        const id = await operation.locator('.opblock-summary-operation-id').innerText()
        let answer = await tryOut(operation)
        // The report is generated in the background.
        while (id.endsWith('ReportStatus') && !answer.text.includes('"ready"'))
          answer = await execute(operation)
        // The last operation on segments, which comes before, has deleted the segment.
        const expected = id === 'evaluateFlag' ? /^404/ : /^20[0124]/
        t.match(answer.status, expected, `${id}: ${answer.text.slice(0, 200)}`)
        await operation.locator('.opblock-summary-control').click()
        answers[id] = answer
      }
      // What is shown makes the page slower. What the service sends to webhooks is in none of the sections.
      const sections = await page.locator('.opblock-tag-section').all()
      const fold = (section: Locator) => section.locator('.opblock-tag').click()
      for (const section of sections) await fold(section)
      for (const section of sections) {
        await fold(section)
        await section.locator('.opblock').first().waitFor()
        for (const operation of await section.locator('.opblock').all()) await tryOperation(operation)
        await fold(section)
      }
      const documented = Object.values(service.app.swagger().paths ?? {}).flatMap((path: object) =>
        Object.values(path).map(({ operationId }: { operationId: string }) => operationId)
      )
      t.same(Object.keys(answers), documented, 'all operations are on the page, in the order of the document')
      t.match(problems, [/status of 404/])
      t.equal(problems.length, 1)
      t.match(answers, {
        evaluateFlag: { text: /"FLAG_NOT_FOUND"/ },
        createSegment: { status: /^200/, url: `${address}/api/v1/segment` },
        getUserSegments: { text: /"AVITO_VOICE_MESSAGES"/ },
        getUserHistory: { text: /"request"/ },
        addSegmentUsers: { text: /"added": 2/ },
        listSegmentUsers: { text: /"10".*"11".*"12"/s },
        removeSegmentUsers: { text: /"removed": 2/ },
        orderUserReport: { status: /^202/ }
      })
      t.match(
        await service.getSegments(10),
        { status: 404, code: 'USER_NOT_FOUND' },
        'the erasure comes last'
      )
    })

    await t.test('takes the secret of a key with "Authorize", and forgets it with the page', async (t) => {
      const key = makeKey('analyst', 'reader')
      const service = await startService(t, { API_KEYS: key.setting })
      await service.sql`insert into segments (slug) values ('VOICE_MSG')`
      await service.sql`select change_user_segments(10, '{VOICE_MSG}', '{}')`
      const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
      const problems = collectProblems(page)
      await page.goto(`${address}/swagger`)
      const readUser = () => tryOut(findOperation(page, 'get', '/api/v1/segments/user/{user_id}'))
      t.match(await readUser(), { status: /^401/, text: /"UNAUTHENTICATED"/ })

      await page.locator('.auth-wrapper').getByRole('button', { name: 'Authorize' }).click()
      const dialog = page.locator('.dialog-ux')
      for (const role of ['reader', 'editor', 'admin']) t.match(await dialog.innerText(), role)
      // The first of two headers in which a key may be sent.
      await dialog.locator('input').first().fill(key.secret)
      await dialog.getByRole('button', { name: 'Apply credentials' }).first().click()
      await dialog.getByRole('button', { name: 'Close' }).first().click()
      const answered = await tryOut(findOperation(page, 'post', '/api/v1/segments/users/query'))
      t.match(answered, { status: /^200/, text: /"VOICE_MSG"/ })
      const refused = await tryOut(findOperation(page, 'delete', '/api/v1/segment/{slug}'))
      t.match(refused, { status: /^403/, text: /"FORBIDDEN"/ })

      await page.reload()
      t.match(await readUser(), { status: /^401/ }, 'a reload has forgotten it')
      const others = problems.filter((problem) => !/status of 40[13]/.test(problem))
      t.same(others, [], 'there were no other errors than the refusals')
    })
  })
)
