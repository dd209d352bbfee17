/**
 * Applies random sequences of commands to the service and to a model of it, and compares them. A failing sequence is
 * shrunk and printed with its seed; `SOAK_SEED` repeats the same sequences.
 */
import * as fc from 'fast-check'
import t from 'tap'
import { startService } from '../support/service.ts'
import { seed, sized, summarize } from './form.ts'
import { agreeOnActiveSegments, agreeOnEverything, agreeOnFeed } from './model/agreement.ts'
import { sequence } from './model/commands.ts'
import { checkExclusive } from './model/groups.ts'
import { settleFillings } from './model/settle.ts'
import { createWorld } from './model/world.ts'

const SEQUENCES = sized(20, 1_000)
const LIMIT_MS = sized(90_000, 3_600_000)
const STEPS = 50

t.test('after any sequence of commands, active segments, histories and reports are right', async (t) => {
  const service = await startService(t)
  let sequences = 0
  let steps = 0
  const property = fc.asyncProperty(sequence(STEPS), async (sequence) => {
    const world = await createWorld(service)
    for (const { run } of sequence) {
      await run(world)
      await agreeOnActiveSegments(world)
      await agreeOnFeed(world)
      await checkExclusive(world)
      steps += 1
    }
    await settleFillings(world)
    await agreeOnEverything(world)
    sequences += 1
  })
  await fc.assert(property, {
    seed,
    numRuns: SEQUENCES,
    // By default most sequences are short.
    unbiased: true,
    // Shrinking a sequence must not exceed the time limit of the test.
    interruptAfterTimeLimit: LIMIT_MS,
    includeErrorInReport: true
  })
  summarize(t, { sequences, steps })
})
