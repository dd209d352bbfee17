import { fork } from 'node:child_process'

/** A file of the console, in memory, in each encoding that it is sent in. */
export type ConsoleFile = Readonly<{
  /** With a hash of its content, so that browsers can keep it for ever. */
  name: string
  type: string
  etag: string
  content: Buffer
  brotli: Buffer
  gzip: Buffer
}>

export type ConsoleFiles = Readonly<{
  /** What the first page needs: each module after those that it imports. The last one is the entry. */
  modules: readonly ConsoleFile[]
  /** The modules of the other pages. */
  later: readonly ConsoleFile[]
  styles: ConsoleFile
  icon: ConsoleFile
}>

/** A message between processes contains plain arrays of bytes. */
function toBuffers(file: ConsoleFile): ConsoleFile {
  const toBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
    Buffer.from(buffer, byteOffset, byteLength)
  return {
    ...file,
    content: toBuffer(file.content),
    brotli: toBuffer(file.brotli),
    gzip: toBuffer(file.gzip)
  }
}

let files: Promise<ConsoleFiles> | undefined

/**
 * Makes the files in a process of its own: removing the types and compressing takes the processor for most of a second, and
 * 60 MB of memory, which a thread would not give back.
 */
async function createFiles(): Promise<ConsoleFiles> {
  const maker = fork(new URL('../../workers/console-files.ts', import.meta.url), {
    // Node.js warns that the API which strips the types may change.
    execArgv: ['--disable-warning=ExperimentalWarning'],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc']
  })
  const end = () => maker.kill()
  process.once('exit', end)
  const { modules, later, styles, icon } = await new Promise<ConsoleFiles>((resolve, reject) => {
    maker.once('message', resolve)
    maker.once('error', reject)
    maker.once('exit', (code) =>
      reject(new Error(`the files of the console were not made: exit code ${code}`))
    )
  }).finally(() => process.removeListener('exit', end))
  return {
    modules: modules.map(toBuffers),
    later: later.map(toBuffers),
    styles: toBuffers(styles),
    icon: toBuffers(icon)
  }
}

/** The files of the console. They are made at the first call, once for the process; after a failure, again at the next call. */
export function loadConsoleFiles(): Promise<ConsoleFiles> {
  files ??= createFiles().catch((error: unknown) => {
    files = undefined
    throw error
  })
  return files
}
