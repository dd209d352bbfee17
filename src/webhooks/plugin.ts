import fp from 'fastify-plugin'
import { WebhookPusher } from './pusher.ts'

declare module 'fastify' {
  interface FastifyInstance {
    webhookPusher: WebhookPusher
  }
}

/** @param allowsPrivate whether receivers may be in private networks. */
export const webhooksPlugin = fp<{ allowsPrivate: boolean }>(
  async (app, { allowsPrivate }) => {
    const pusher = new WebhookPusher(app, allowsPrivate)
    app.decorate('webhookPusher', pusher)
    app.addHook('onListen', async () => pusher.start())
    app.addHook('onClose', () => pusher.close())
  },
  { name: 'webhooks', dependencies: ['database', 'change-feed'] }
)
