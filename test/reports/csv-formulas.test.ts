import t from 'tap'
import { reportColumns } from '../../schemas/report-columns.ts'
import { dayFromNow, startService } from '../support/service.ts'

/** Characters that a spreadsheet takes for the beginning of a formula. */
const beginnings = ['=', '+', '-', '@', '\t', '\r']

t.test('no cell of a report can be a formula, for any input', async (t) => {
  const service = await startService(t)
  await service.createSegment('A')
  await service.changeSegments(1, ['A'])
  const from = '2023-08-01'
  const attempts: [place: string, send: (text: string) => Promise<{ status: number; body: unknown }>][] = [
    ['slug of a new segment', (text) => service.createSegment(text)],
    ['slug of a new segment with users', (text) => service.createSegment(text, 1)],
    ['segment in a path', (text) => service.getSegment(encodeURIComponent(text))],
    ['segment to delete', (text) => service.deleteSegment(encodeURIComponent(text))],
    ['segments_to_add', (text) => service.changeSegments(1, [text])],
    ['segments_to_delete', (text) => service.changeSegments(1, [], [text])],
    ['user to read', (text) => service.getSegments(encodeURIComponent(text))],
    ['user to change', (text) => service.changeSegments(encodeURIComponent(text), ['A'])],
    ['users to read', (text) => service.post('/api/v1/segments/users/query', { user_ids: [text] })],
    ['user of a report', (text) => service.orderReport(encodeURIComponent(text), from, '2023-08-31')],
    ['first day', (text) => service.orderReport(1, encodeURIComponent(text), '2023-08-31')],
    ['last day', (text) => service.orderReport(1, from, encodeURIComponent(text))],
    ['segment of a report', (text) => service.orderReportOfAll({ from, to: '2023-08-31', segment: text })],
    ['first day of a report of all', (text) => service.orderReportOfAll({ from: text, to: '2023-08-31' })],
    ['file', (text) => service.getReport(encodeURIComponent(text))]
  ]
  for (const beginning of beginnings) {
    for (const text of [`${beginning}1`, `${beginning}cmd|' /C calc'!A0`, `${beginning}A`, beginning]) {
      for (const [place, send] of attempts) {
        const { status, body } = await send(text)
        t.equal(status, 400, `${place}: ${JSON.stringify(text)}: ${JSON.stringify(body)}`)
      }
      await t.rejects(
        service.sql`insert into segments (slug) values (${text})`,
        { code: '23514' },
        'in SQL too'
      )
    }
  }
  t.same(await service.sql`select slug from segments`, [{ slug: 'A' }], 'nothing of it was stored')
  t.same(await service.sql`select id from users`, [{ id: '1' }])

  await service.deleteSegment('A')
  const cells = [[...reportColumns], ...(await service.history(1))].flat()
  t.equal(cells.length, 12)
  const { body } = await service.makeReportOfAll({ from, to: dayFromNow(1) })
  t.same(String(body).trim().split(/[\n,]/), cells, 'in the report of all, too')
  for (const cell of cells) t.match(cell, /^[A-Za-z0-9]/)
})
