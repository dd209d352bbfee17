/** Makes the pictures of the console in `docs/images`: `npm run screenshots`. */
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { withBrowser } from '../support/browser.ts'
import { signIn } from '../support/console.ts'
import { configureKeys, makeKey } from '../support/keys.ts'
import { startService, type TestService } from '../support/service.ts'

const folder = new URL('../../docs/images/', import.meta.url)
const key = makeKey('marketing', 'admin')
const { headers } = key

/** Users who become known over two months, and segments that they join and leave. */
async function createScene(service: TestService): Promise<void> {
  const { sql } = service
  await sql`
    insert into users (id, created_at)
    select id, now() - interval '60 days' + id * interval '7 minutes'
    from generate_series(1, 12000) id`
  const create = async (body: object) => {
    const { status, text } = await service.post('/api/v1/segment', body, headers)
    if (status !== 200) throw new Error(text)
  }
  await create({ slug: 'PROMO_5', description: 'Five per cent off the next order' })
  await create({ slug: 'VOICE_MESSAGES', description: 'Voice messages, being rolled out' })
  await create({ slug: 'FREE_DELIVERY', description: 'Free delivery in December' })
  await service.post(
    '/api/v1/groups',
    { slug: 'CHECKOUT', description: 'Which checkout sells more' },
    headers
  )
  await create({ slug: 'CHECKOUT_NEW', group: 'CHECKOUT', selection: 0.1, description: 'One page' })
  await create({ slug: 'CHECKOUT_CONTROL', group: 'CHECKOUT', selection: 0.1, description: 'Four pages' })
  await create({ slug: 'CHECKOUT_HOLDOUT', group: 'CHECKOUT', selection: 0.05, holdout: true })
  await sql`update segments set created_at = now() - interval '45 days', created_by = 'marketing'`
  await sql`update segment_changes set changed_at = now() - interval '45 days', actor = 'marketing'`
  // In waves, as campaigns are: each user joins on one of 40 days, and most leave some days later.
  await sql`
    insert into memberships (user_id, segment_id, added_at, added_by, removed_at, removed_by)
    select user_id, segment_id, added_at, 'support', nullif(least(ends_at, now()), now()),
      case when ends_at < now() then 'marketing' end
    from (
      select
        id as user_id,
        segment_id,
        added_at,
        added_at + (4 + (id * segment_id) % 37) * interval '1 day' as ends_at
      from users
      cross join generate_series(1, 3) segment_id
      cross join lateral (
        select now() - (40 * power((id * 7919 % 1009) / 1009.0, segment_id / 2.0)) * interval '1 day' as added_at
      ) moments
      where id % (segment_id * 2) = 0
    ) periods`
}

t.test('the pictures of the console', async (t) => {
  const service = await startService(t, { API_KEYS: configureKeys(key) })
  await createScene(service)
  await mkdir(folder, { recursive: true })
  const address = await service.app.listen({ host: '127.0.0.1', port: 0 })
  await withBrowser(async (page) => {
    await page.setViewportSize({ width: 1280, height: 800 })
    const take = (name: string) => page.screenshot({ path: fileURLToPath(new URL(`${name}.png`, folder)) })
    const go = async (path: string, colorScheme: 'light' | 'dark') => {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await signIn(page, address, key, path)
      await page.waitForLoadState('networkidle')
    }
    await go('', 'light')
    await take('console-segments')
    await go('/users/1200', 'light')
    await take('console-user')
    await go('/segments/PROMO_5', 'dark')
    await take('console-segment')
  })
  t.pass(`in ${fileURLToPath(folder)}`)
})
