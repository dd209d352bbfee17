/** Writes the types of the service's contract from the OpenAPI document: `npm run openapi`. */
import { readFile, writeFile } from 'node:fs/promises'
import openapi, { astToString } from 'openapi-typescript'

const document = new URL('../openapi.json', import.meta.url)
const target = new URL('src/contract.ts', import.meta.url)

const notice = '/** Generated from openapi.json by `npm run openapi`. Do not edit. */\n'

/** The text of `src/contract.ts` for the committed OpenAPI document. */
export async function generateContract(): Promise<string> {
  return notice + astToString(await openapi(await readFile(document, 'utf8'), { defaultNonNullable: false }))
}

if (import.meta.main) await writeFile(target, await generateContract())
