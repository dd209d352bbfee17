/** What the tests of the console's pages share. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import type { TestKey } from './keys.ts'

const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

/** Milliseconds for what is waited for. The machine of a test may be busy. */
export const PATIENCE_MS = 60_000

type AxeResult = { violations: { id: string; nodes: { html: string }[] }[] }

/** Opens a page of the console, and signs in there. */
export async function signIn(page: Page, address: string, { secret }: TestKey, path = ''): Promise<void> {
  page.setDefaultTimeout(PATIENCE_MS)
  await page.goto(`${address}/console${path}`)
  await page.getByLabel('API key').fill(secret)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation', { name: 'Main' }).waitFor()
}

/** What axe-core finds on the page, with the elements. */
export async function findFaults(page: Page): Promise<string[]> {
  // As the console does not let its page evaluate text, axe-core comes by the protocol of the browser.
  await page.evaluate(axe)
  return page.evaluate(async () => {
    const { violations } = await (
      globalThis as unknown as { axe: { run: () => Promise<AxeResult> } }
    ).axe.run()
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`
    )
  })
}

/** The same in light and in dark colours. */
export async function findFaultsOfThemes(page: Page): Promise<string[]> {
  const faults: string[] = []
  for (const colorScheme of ['light', 'dark'] as const) {
    // Colours must not be on their way from the other theme.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    faults.push(...(await findFaults(page)).map((fault) => `${colorScheme}: ${fault}`))
  }
  return faults
}

/** Whether the page fits a phone: it does not scroll sideways. */
export async function fitsPhone(page: Page): Promise<boolean> {
  const size = page.viewportSize()
  await page.setViewportSize({ width: 360, height: 800 })
  const width = Number(await page.evaluate('document.documentElement.scrollWidth'))
  if (size) await page.setViewportSize(size)
  return width <= 360
}
