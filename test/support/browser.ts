import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inflate } from '@sparticuz/chromium'
import { chromium, type Page } from 'playwright-core'

type BrowserProgram = { executablePath: string; env: Record<string, string | undefined> }

const LAUNCH_TIMEOUT_MS = 60_000

/**
 * Options that playwright-core does not pass. It already passes `--headless`, `--no-sandbox` (root can't
 * have the sandbox, nor can most containers), `--disable-dev-shm-usage` and all that stops updates, sync,
 * crash reports and background networking.
 */
const chromiumFlags = [
  '--disable-gpu',
  '--disable-quic',
  '--disable-domain-reliability',
  // A request to another machine must fail at once, in the same way everywhere. A proxy from the environment
  // would circumvent that; headless Chromium ignores `--no-proxy-server`.
  '--proxy-server=direct://',
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1 , EXCLUDE [::1]'
]

/** The font configuration. That of the package names folders directly under /tmp. */
const fontconfig =
  '<fontconfig><dir prefix="relative">fonts</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>\n'

/**
 * Opens an empty page in a headless Chromium, passes it to `use`, and closes the browser afterwards in any case.
 *
 * On Linux on x64 the browser comes from the npm package `@sparticuz/chromium` and needs nothing installed.
 * The environment variable `CHROMIUM_PATH` names another Chromium or Chrome to use; elsewhere it is needed.
 * Everything it unpacks and writes is in one temporary folder, which is removed afterwards.
 *
 * @throws {Error} if there is no Chromium for this machine and `CHROMIUM_PATH` isn't set.
 */
export async function withBrowser<T>(use: (page: Page) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'browser-'))
  try {
    // Only a persistent context lets us choose the folder of the profile.
    const context = await chromium.launchPersistentContext(join(folder, 'profile'), {
      ...(await findProgram(folder)),
      headless: true,
      args: chromiumFlags,
      artifactsDir: join(folder, 'artifacts'),
      timeout: LAUNCH_TIMEOUT_MS,
      // Playwright's own handlers keep the process alive; the browser ends when its pipe closes.
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false
    })
    try {
      return await use(context.pages()[0] ?? (await context.newPage()))
    } finally {
      await context.close()
    }
  } finally {
    // The browser's last processes can still be writing when its first one has already ended.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }
}

async function findProgram(folder: string): Promise<BrowserProgram> {
  const installed = process.env.CHROMIUM_PATH
  // The developer's own browser gets the whole environment: it may be a wrapper that depends on it (snap).
  if (installed) return { executablePath: installed, env: process.env }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      `There is no bundled Chromium for ${process.platform} on ${process.arch}: ` +
        'set CHROMIUM_PATH to the executable of a Chromium or Chrome on this machine'
    )
  }
  return unpackProgram(folder)
}

async function unpackProgram(folder: string): Promise<BrowserProgram> {
  // One after the other: if one fails, no other may still be writing to the folder while it is removed.
  const executablePath = await unpackInto(folder, 'chromium.br')
  // Libraries such as libnss3, which a bare system lacks. By default the package unpacks them only on AWS.
  const libraries = await unpackInto(folder, 'al2023.tar.br')
  await unpackInto(folder, 'fonts.tar.br')
  const fontSettings = join(folder, 'fonts.conf')
  await writeFile(fontSettings, fontconfig)
  const home = join(folder, 'home')
  await mkdir(home)
  const libraryPath = [join(libraries, 'lib'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':')
  const env = {
    ...process.env,
    LD_LIBRARY_PATH: libraryPath,
    FONTCONFIG_FILE: fontSettings,
    // Where a browser writes besides its profile: caches, certificate stores, temporary files.
    HOME: home,
    XDG_CONFIG_HOME: home,
    XDG_CACHE_HOME: home,
    TMPDIR: folder
  }
  return { executablePath, env }
}

/**
 * The package unpacks to the system's temporary folder under fixed names, where two test runs would collide.
 * It looks up that folder before it returns its promise, so nothing else sees the changed variable.
 */
function unpackInto(folder: string, archive: string): Promise<string> {
  const packageEntry = import.meta.resolve('@sparticuz/chromium')
  const before = process.env.TMPDIR
  process.env.TMPDIR = folder
  try {
    return inflate(fileURLToPath(new URL(`../bin/${archive}`, packageEntry)))
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  }
}
