/** Headers that lead on: `Link` of lists, `Location` of what was made. */
import t from 'tap'
import type { Answer } from '../support/client.ts'
import { shareService, type TestService } from '../support/service.ts'

const emptyService = await shareService(t)

/** Reads a list by following its links. */
async function follow(service: TestService, url: string): Promise<Answer[]> {
  const pages: Answer[] = []
  for (let next: string | undefined = url; next !== undefined; ) {
    const page = await service.get(next)
    pages.push(page)
    next = /^<(\/[^>]+)>; rel="next"$/.exec(page.headers.link?.toString() ?? '')?.[1]
  }
  return pages
}

t.test('each page of a list links to the next one, with the same parameters', async (t) => {
  const service = await emptyService()
  for (const slug of ['A', 'B', 'C']) await service.createSegment(slug)
  for (const user of [1, 2, 3]) await service.changeSegments(user, ['A', 'B', 'C'])
  for (const share of [0.1, 0.2]) await service.patchSegment('A', { selection: share })
  const lists: [url: string, field: string][] = [
    ['/api/v1/segments?limit=1&include_deleted=true', 'segments'],
    ['/api/v1/segments/?q=%20&limit=2', 'segments'],
    ['/api/v1/segment/a/users?limit=1', 'users'],
    ['/api/v1/segment/A/history?limit=1', 'entries'],
    ['/api/v1/segments/user/1/history?limit=1&from=2023-08-01', 'entries']
  ]
  for (const [url, field] of lists) {
    const pages = await follow(service, url)
    const all = await service.get(url.replace(/limit=\d/, 'limit=100'))
    t.same(
      pages.flatMap((page) => page.json<Record<string, unknown[]>>()[field]),
      all.json<Record<string, unknown[]>>()[field],
      url
    )
    t.equal(all.headers.link, undefined)
    if (!url.includes('%20')) t.equal(pages.length, 3, url)
    for (const page of pages) {
      const { next_cursor } = page.json<{ next_cursor: string | null }>()
      t.equal(page.headers.link !== undefined, next_cursor !== null)
    }
  }
})

t.test('the answer to an order of a report has its link as Location', async (t) => {
  const service = await emptyService()
  await service.changeSegments(1, [])
  const orders = [
    await service.orderReport(1, '2023-08-01', '2023-08-31'),
    await service.orderReportOfAll({ from: '2023-08-01', to: '2023-08-31' })
  ]
  for (const order of orders) {
    t.equal(order.status, 202)
    t.equal(order.headers.location, order.json<{ link: string }>().link)
  }
})
