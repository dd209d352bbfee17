import { type Part, startServer } from '../bench.ts'
import { checkLive, createSegment, createSegmentInBackground, deleteSegment, timed } from '../calls.ts'
import { comparePairs, median, toRow } from '../compare.ts'
import { settle } from '../database.ts'
import { closeDeletedSegments, insertSegment, waitForAssignment } from '../segments.ts'

const SELECTION = 0.1
const BIG_SEGMENT = 1_000_000
const SMALL_SEGMENT = 10
/** Small segments that are deleted for one figure: each takes one commit, and the time of a commit varies. */
const DELETIONS = 7

/** Creating a segment with a random tenth of the users. */
export const create: Part = async (bench) => {
  const { options, sql } = bench
  const { address } = await startServer(bench, 'service')
  const members = Math.ceil(SELECTION * options.users)
  // After a checkpoint: otherwise the second measurement need not log the full pages that the first one has logged.
  const measure = (work: () => Promise<unknown>) => async () => {
    await sql`checkpoint`
    return { ms: await timed(work) }
  }
  const service = measure(() => createSegment(address, SELECTION))
  const insertFirst = measure(() => insertSegment(sql, members))
  // These users are as far apart as sampled ones, so the remaining difference is the cost of sampling.
  const insertEveryTenth = measure(() => insertSegment(sql, members, 1 / SELECTION))
  for (const warmUp of [service, insertFirst, insertEveryTenth]) await warmUp()
  const first = await comparePairs(options.pairs, ['service', service], ['first tenth', insertFirst])
  const tenth = await comparePairs(options.pairs, ['service', service], ['every tenth', insertEveryTenth])
  await settle(sql)
  const description = { what: 'creating a segment with a random tenth of the users', unit: 'ms' }
  return [
    toRow(first, ({ ms }) => ms, {
      ...description,
      reference: 'a plain insert of the first tenth of the users',
      target: { atMost: 2 }
    }),
    toRow(tenth, ({ ms }) => ms, { ...description, reference: 'a plain insert of every tenth user' })
  ]
}

/** Creating the same segment in the background, until it is filled. */
export const createAsync: Part = async (bench) => {
  const { options, sql } = bench
  const { address } = await startServer(bench, 'service')
  const measure = (work: () => Promise<unknown>) => async () => {
    await sql`checkpoint`
    return { ms: await timed(work) }
  }
  const inBackground = measure(async () =>
    waitForAssignment(sql, await createSegmentInBackground(address, SELECTION))
  )
  const synchronous = measure(() => createSegment(address, SELECTION))
  for (const warmUp of [inBackground, synchronous]) await warmUp()
  const results = await comparePairs(
    options.pairs,
    ['in the background', inBackground],
    ['before the answer', synchronous]
  )
  await settle(sql)
  return [
    toRow(results, ({ ms }) => ms, {
      what: 'creating it in the background, until it is filled',
      reference: 'creating it before the answer',
      unit: 'ms'
    })
  ]
}

/** Deleting a big segment, which updates one row, however many members there are. */
export const deletion: Part = async (bench) => {
  const { options, sql } = bench
  const { address } = await startServer(bench, 'service')
  const members = Math.min(BIG_SEGMENT, options.users)
  // All are inserted before the first deletion, so that the cost of filling them does not affect it.
  const insertSegments = (count: number, size: number) =>
    Promise.all(Array.from({ length: count }, () => insertSegment(sql, size)))
  const big = await insertSegments(options.pairs + 1, members)
  const small = await insertSegments((options.pairs + 1) * DELETIONS, SMALL_SEGMENT)
  await settle(sql)

  const measure = (slugs: string[], count: number) => async () => {
    const times: number[] = []
    for (const slug of slugs.splice(0, count)) {
      await closeDeletedSegments(sql)
      // Otherwise the next commit would wait for the writes of a million closed periods.
      await sql`checkpoint`
      await checkLive(address)
      times.push(await timed(() => deleteSegment(address, slug)))
    }
    return { ms: median(times) }
  }
  const deleteBig = measure(big, 1)
  const deleteSmall = measure(small, DELETIONS)
  for (const warmUp of [deleteBig, deleteSmall]) await warmUp()
  const results = await comparePairs(
    options.pairs,
    [`of ${members}`, deleteBig],
    [`of ${SMALL_SEGMENT}`, deleteSmall]
  )
  await closeDeletedSegments(sql)
  await settle(sql)
  return [
    toRow(results, ({ ms }) => ms, {
      what: `deleting a segment of ${members.toLocaleString('en')}`,
      reference: `deleting one of ${SMALL_SEGMENT}`,
      unit: 'ms',
      target: { atMost: 2 }
    })
  ]
}
