/**
 * The service and a model of it, to which the same is done in random sequences, know the same. A sequence that fails is
 * made as short as it can be and printed with its seed; `SOAK_SEED` runs the same sequences again.
 */
import * as fc from 'fast-check'
import t from 'tap'
import { startService } from '../support/service.ts'
import { seed, sized, summarize } from './form.ts'
import { agreeOnActiveSegments, agreeOnEverything } from './model/agreement.ts'
import { sequence } from './model/commands.ts'
import { settleFillings } from './model/settle.ts'
import { createWorld } from './model/world.ts'

const SEQUENCES = sized(20, 1_000)
const LIMIT_MS = sized(90_000, 3_600_000)
const STEPS = 50

t.test(
  'whatever is done in whatever order, active sets, histories and reports are what they should be',
  async (t) => {
    const service = await startService(t)
    let sequences = 0
    let steps = 0
    const property = fc.asyncProperty(sequence(STEPS), async (sequence) => {
      const world = await createWorld(service)
      for (const { run } of sequence) {
        await run(world)
        await agreeOnActiveSegments(world)
        steps += 1
      }
      await settleFillings(world)
      await agreeOnEverything(world)
      sequences += 1
    })
    await fc.assert(property, {
      seed,
      numRuns: SEQUENCES,
      // Or most sequences are short.
      unbiased: true,
      // To make a sequence short must not take longer than the test may.
      interruptAfterTimeLimit: LIMIT_MS,
      includeErrorInReport: true
    })
    summarize(t, { sequences, steps })
  }
)
