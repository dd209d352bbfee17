import { type Part, startServer } from '../bench.ts'
import { createComposedSegment, timed } from '../calls.ts'
import { comparePairs, toRow } from '../compare.ts'
import { settle } from '../database.ts'
import { insertSegment, insertTenths } from '../segments.ts'

/** Creating a segment with three tenths of the users: those who are in one segment and not in another one. */
export const compositions: Part = async (bench) => {
  const { options, sql } = bench
  const { address } = await startServer(bench, 'service')
  // Four tenths each, one of which is in both.
  const one = await insertTenths(sql, 0, 3)
  const other = await insertTenths(sql, 3, 6)
  await settle(sql)
  const members = Math.floor((3 * options.users) / 10)
  // After a checkpoint: otherwise the second measurement need not log the full pages that the first one has logged.
  const measure = (work: () => Promise<unknown>) => async () => {
    await sql`checkpoint`
    return { ms: await timed(work) }
  }
  const service = measure(() => createComposedSegment(address, { all: [one], none: [other] }))
  const insertFirst = measure(() => insertSegment(sql, members))
  const insertSame = measure(() => insertTenths(sql, 0, 2))
  for (const warmUp of [service, insertFirst, insertSame]) await warmUp()
  const first = await comparePairs(options.pairs, ['service', service], ['first users', insertFirst])
  const same = await comparePairs(options.pairs, ['service', service], ['same users', insertSame])
  await settle(sql)
  const description = {
    what: 'creating a segment with three tenths of the users: in A and not in B',
    unit: 'ms'
  }
  return [
    toRow(first, ({ ms }) => ms, {
      ...description,
      reference: 'a plain insert of as many users, the first ones',
      target: { atMost: 2 }
    }),
    toRow(same, ({ ms }) => ms, { ...description, reference: 'a plain insert of the same users' })
  ]
}
