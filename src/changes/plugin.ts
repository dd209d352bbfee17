import fp from 'fastify-plugin'
import { BackgroundJob } from '../database/background-job.ts'
import { CHANGE_UPKEEP_MS } from '../limits.ts'
import { ChangeFeed } from './feed.ts'
import { keepPartitions } from './upkeep.ts'

declare module 'fastify' {
  interface FastifyInstance {
    changeFeed: ChangeFeed
  }
}

/** @param retention seconds for which changes are kept; days are kept whole. */
export const changeFeedPlugin = fp<{ retention: number }>(
  async (app, { retention }) => {
    const days = Math.ceil(retention / 86_400)
    const upkeep = new BackgroundJob({
      name: 'changes',
      share: 0.2,
      poll: CHANGE_UPKEEP_MS,
      step: () => keepPartitions(app.bulk, days),
      log: app.log
    })
    app.decorate('changeFeed', new ChangeFeed(app.changes, days))
    app.addHook('onListen', async () => upkeep.start())
    app.addHook('onClose', () => upkeep.stop())
  },
  { name: 'change-feed', dependencies: ['database'] }
)
