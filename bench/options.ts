import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

export type Options = {
  /** Known users in the generated data. */
  users: number
  /** The parts to run, all where it is undefined. */
  only: string[] | undefined
  pairs: number
  /** Seconds of one measurement under load. */
  seconds: number
  /** Seconds of load on a server before it is first measured. */
  warmUp: number
  /** Minutes of mixed load that the memory is watched for. */
  memoryMinutes: number
  /** Where the database, the reports and results.json lie. */
  directory: string
  keep: boolean
  write: boolean
}

/** A mistake in the command line: `message` is the one line to show. */
export class OptionError extends Error {}

const defaultDirectory = fileURLToPath(new URL('../.data/bench', import.meta.url))

export const usage = `npm run bench -- [options]

Measures the service against references, in turn, on its own PostgreSQL with generated data.

  --users N           users in the data, 1000 or more (100000)
  --only a,b          run these parts only; else all:
                      PARTS
  --pairs N           pairs of measurements, 5 or more (5)
  --seconds N         seconds of one measurement under load (5)
  --warm-up N         seconds of load before a server is first measured (6)
  --memory-minutes N  minutes that memory is watched for (10)
  --directory PATH    where data lies while it runs (.data/bench)
  --keep              keep the generated database for the next run, which else is deleted
  --write             write the figures into bench/RESULTS.md
  --help              show this`

/**
 * Reads the command line; undefined where it asks for help.
 *
 * @throws {OptionError} naming the first option that is wrong.
 */
export function readOptions(args: string[], parts: string[]): Options | undefined {
  const values = parse(args)
  if (values.help) return undefined
  const only = values.only?.split(',')
  const unknown = only?.find((name) => !parts.includes(name))
  if (unknown !== undefined)
    throw new OptionError(`--only knows no part (${unknown}): choose from ${parts.join(', ')}`)
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
    // Node.js goes on with advice on how to quote.
    throw new OptionError(String((error as Error).message).split('. ')[0])
  }
}

function readNumber(name: string, text: string | undefined, preset: number, least: number, whole = false) {
  if (text === undefined) return preset
  const number = Number(text)
  if (text.trim() !== '' && number >= least && number < 2 ** 31 && (!whole || Number.isInteger(number)))
    return number
  throw new OptionError(
    `--${name} must be ${whole ? 'an integer' : 'a number'} of ${least} or more, not (${text})`
  )
}
