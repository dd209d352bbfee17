import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

export type Options = {
  /** Users in the generated data. */
  users: number
  /** The parts to run; undefined for all. */
  only: string[] | undefined
  pairs: number
  /** Seconds of one measurement under load. */
  seconds: number
  /** Seconds of load on a server before its first measurement. */
  warmUp: number
  /** Minutes of mixed load during which the memory is measured. */
  memoryMinutes: number
  /** The folder of the database, the reports and results.json. */
  directory: string
  keep: boolean
  write: boolean
}

/** An invalid command line. `message` is one line for the user. */
export class OptionError extends Error {}

const defaultDirectory = fileURLToPath(new URL('../.data/bench', import.meta.url))

export const usage = `npm run bench -- [options]

Measures the service against references, in turn, on its own PostgreSQL with generated data.

  --users N           users in the data, 1000 or more (100000)
  --only a,b          run only these parts; by default, all:
                      PARTS
  --pairs N           pairs of measurements, 5 or more (5)
  --seconds N         seconds of one measurement under load (5)
  --warm-up N         seconds of load on a server before its first measurement (6)
  --memory-minutes N  minutes during which memory is measured (10)
  --directory PATH    folder of the data (.data/bench)
  --keep              keep the generated database for the next run instead of deleting it
  --write             write the figures into bench/RESULTS.md
  --help              show this`

/**
 * Reads the command line. Returns undefined if it asks for help.
 *
 * @throws {OptionError} for the first invalid option.
 */
export function readOptions(args: string[], parts: string[]): Options | undefined {
  const values = parse(args)
  if (values.help) return undefined
  const only = values.only?.split(',')
  const unknown = only?.find((name) => !parts.includes(name))
  if (unknown !== undefined)
    throw new OptionError(`--only has an unknown part (${unknown}): choose from ${parts.join(', ')}`)
  return {
    users: readNumber('users', values.users, 100_000, 1_000, true),
    only,
    pairs: readNumber('pairs', values.pairs, 5, 5, true),
    seconds: readNumber('seconds', values.seconds, 5, 1),
    warmUp: readNumber('warm-up', values['warm-up'], 6, 1),
    memoryMinutes: readNumber('memory-minutes', values['memory-minutes'], 10, 0.5),
    directory: resolve(values.directory ?? defaultDirectory),
    keep: values.keep,
    write: values.write
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        users: { type: 'string' },
        only: { type: 'string' },
        pairs: { type: 'string' },
        seconds: { type: 'string' },
        'warm-up': { type: 'string' },
        'memory-minutes': { type: 'string' },
        directory: { type: 'string' },
        keep: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false }
      }
    }).values
  } catch (error) {
    // Node.js appends advice on quoting.
    throw new OptionError(String((error as Error).message).split('. ')[0])
  }
}

function readNumber(
  name: string,
  text: string | undefined,
  defaultValue: number,
  minimum: number,
  integer = false
) {
  if (text === undefined) return defaultValue
  const number = Number(text)
  if (text.trim() !== '' && number >= minimum && number < 2 ** 31 && (!integer || Number.isInteger(number)))
    return number
  throw new OptionError(
    `--${name} must be ${integer ? 'an integer' : 'a number'} of ${minimum} or more, not (${text})`
  )
}
