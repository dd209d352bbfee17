/** The programs in the README of the client. */
import { readFile } from 'node:fs/promises'

/** The first line of the program that keeps a segment in a file. */
export const FOLLOWER = '// follow.ts\n'

/** All TypeScript of the README, by block. */
export async function readReadmePrograms(): Promise<string[]> {
  const readme = await readFile(new URL('../../client/README.md', import.meta.url), 'utf8')
  return [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) => code)
}

/** The program that keeps a segment in a file. */
export async function readFollower(): Promise<string> {
  const follower = (await readReadmePrograms()).find((code) => code.startsWith(FOLLOWER))
  if (follower === undefined) throw new Error('client/README.md has no follow.ts')
  return follower
}
