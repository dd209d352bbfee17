/** Heavy background work beside the reads: reports, assignments, and closing the periods of deleted segments. */
import type { Bench } from './bench.ts'
import { createSegmentInBackground, deleteSegment, makeReport } from './calls.ts'
import { provideHistory, reportInterval } from './history.ts'
import { insertSegment, waitForAssignment } from './segments.ts'

/** The share of the users in each segment that is filled and deleted. */
const SELECTION = 0.5

/**
 * Runs `measure` while the service makes a long report, fills a segment with half of the users, and closes the periods of
 * a segment that has just been deleted. Each of these starts again when it ends.
 */
export async function withBackground<T>(
  { options, sql }: Bench,
  address: string,
  measure: () => Promise<T>
): Promise<T> {
  const userId = await provideHistory(sql, options.users)
  const { from, to } = reportInterval()
  let segment = await insertSegment(sql, Math.ceil(SELECTION * options.users))
  await sql`checkpoint`

  const ending = new AbortController()
  const repeat = async (step: () => Promise<void>): Promise<never> => {
    while (!ending.signal.aborted) await step()
    throw new Error('the background work has ended before the measurement')
  }
  const tasks = [
    repeat(() => makeReport(address, userId, from, to)),
    repeat(async () => {
      const filled = segment
      segment = await createSegmentInBackground(address, SELECTION)
      await deleteSegment(address, filled)
      await waitForAssignment(sql, segment, ending.signal)
    })
  ]
  try {
    // If background work fails, so does the measurement, which would otherwise show an idle service.
    return await Promise.race([measure(), ...tasks])
  } finally {
    ending.abort()
    await Promise.allSettled(tasks)
    await deleteSegment(address, segment)
  }
}
