/** The heavy works that go on beside the reads: reports, assignments and the closing of deleted segments' periods. */
import type { Bench } from './bench.ts'
import { deleteSegment, makeReport, orderSegment } from './calls.ts'
import { provideHistory, reportInterval } from './history.ts'
import { insertSegment, waitForAssignment } from './segments.ts'

/** Of the users, in each segment that is filled and deleted. */
const SELECTION = 0.5

/**
 * Runs `work` while the service makes a long report, fills a segment with half of the users and closes the periods
 * of one that was deleted just before: each begins anew as it ends.
 */
export async function withBackground<T>(
  { options, sql }: Bench,
  address: string,
  work: () => Promise<T>
): Promise<T> {
  const userId = await provideHistory(sql, options.users)
  const { from, to } = reportInterval()
  let segment = await insertSegment(sql, Math.ceil(SELECTION * options.users))
  await sql`checkpoint`

  const ending = new AbortController()
  const repeat = async (step: () => Promise<void>): Promise<never> => {
    while (!ending.signal.aborted) await step()
    throw new Error('the works in the background have ended before the measurement')
  }
  const works = [
    repeat(() => makeReport(address, userId, from, to)),
    repeat(async () => {
      const filled = segment
      segment = await orderSegment(address, SELECTION)
      await deleteSegment(address, filled)
      await waitForAssignment(sql, segment, ending.signal)
    })
  ]
  try {
    // Works that fail make the measurement fail, which else would show an idle service.
    return await Promise.race([work(), ...works])
  } finally {
    ending.abort()
    await Promise.allSettled(works)
    await deleteSegment(address, segment)
  }
}
