/** Writes openapi.json from the route schemas: `npm run openapi`, which also formats it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildApp } from '../app.ts'
import { readConfig } from '../config.ts'

const folder = await mkdtemp(join(tmpdir(), 'user-segments-openapi-'))
try {
  // The document needs no database, and nothing connects to this one.
  const app = await buildApp(
    readConfig({ DATABASE_URL: 'postgres://localhost/none', REPORTS_DIR: folder, LOG_LEVEL: 'silent' })
  )
  await writeFile(new URL('../../openapi.json', import.meta.url), JSON.stringify(app.swagger()))
  await app.close()
} finally {
  await rm(folder, { recursive: true })
}
