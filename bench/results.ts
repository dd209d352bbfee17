/** Writes figures to the terminal, to results.json and to RESULTS.md, whose handwritten text is kept. */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import * as os from 'node:os'
import { fileURLToPath } from 'node:url'
import { formatNumber, isMet, type Row } from './compare.ts'

type PartResult = { command: string; rows: Row[] }

/** The results for one number of users. */
export type SizeResults = { machine: string[]; parts: Record<string, PartResult> }

type Results = Record<string, SizeResults>

const markdownPath = fileURLToPath(new URL('RESULTS.md', import.meta.url))

/** Describes the machine, in one line for each fact. */
export function describeMachine(postgresVersion: string, settings: Record<string, string>): string[] {
  const cpus = os.cpus()
  return [
    `${cpus[0]?.model.trim() ?? 'unknown CPU'}, ${cpus.length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GB of memory`,
    `${os.type()} ${os.release()}, Node.js ${process.version}, PostgreSQL ${postgresVersion}`,
    `PostgreSQL with ${Object.entries(settings)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}`
  ]
}

/** Adds the parts of a run to results.json. Other parts keep the results of an earlier run of that size. */
export async function saveResults(file: string, users: number, added: SizeResults): Promise<SizeResults> {
  const results: Results = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : {}
  const parts = { ...results[users]?.parts, ...added.parts }
  const merged = { machine: added.machine, parts }
  await writeFile(file, `${JSON.stringify({ ...results, [users]: merged }, undefined, 2)}\n`)
  return merged
}

/** Replaces the block of one size in RESULTS.md. The text around it is kept. */
export async function writeMarkdown(users: number, results: SizeResults, order: string[]): Promise<void> {
  const [begin, end] = [`<!-- begin: ${users} users -->`, `<!-- end: ${users} users -->`]
  const block = `${begin}\n${formatMarkdown(users, results, order)}\n${end}`
  const text = existsSync(markdownPath) ? await readFile(markdownPath, 'utf8') : '# Benchmark results\n'
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  const changed =
    from < 0 || to < from ? `${text}\n${block}\n` : text.slice(0, from) + block + text.slice(to + end.length)
  await writeFile(markdownPath, changed)
}

function formatMarkdown(users: number, { machine, parts }: SizeResults, order: string[]): string {
  const known = order.flatMap((name) => (parts[name] ? [{ name, ...parts[name] }] : []))
  const commands = [...new Set(known.map(({ command }) => command))]
  return [
    `## ${users.toLocaleString('en')} users`,
    '',
    ...machine.map((line) => `- ${line}`),
    ...commands.map((command) => `- \`${command}\``),
    '',
    `| ${headings.join(' | ')} |`,
    `|${'---|'.repeat(headings.length)}`,
    ...known.flatMap(({ name, rows }) => rows.map((row) => `| ${toCells(name, row).join(' | ')} |`))
  ].join('\n')
}

const headings = ['part', 'what', 'compared with', 'target', 'ratio', 'lowest to highest', 'met', 'medians']

function toCells(part: string, row: Row): string[] {
  const { what, reference, target, ratio, unit, measured, referenceMeasured, errors } = row
  const met = isMet(row)
  return [
    part,
    what,
    reference,
    target === undefined ? '' : 'atLeast' in target ? `≥ ${target.atLeast}` : `≤ ${target.atMost}`,
    ratio.median.toFixed(2),
    `${ratio.lowest.toFixed(2)} to ${ratio.highest.toFixed(2)}`,
    `${met === undefined ? '' : met ? 'yes' : 'no'}${errors > 0 ? ` (${errors} errors)` : ''}`,
    `${formatNumber(measured)} to ${formatNumber(referenceMeasured)} ${unit}`
  ]
}

/** Formats the same table in columns, for the terminal. */
export function formatTable(parts: Record<string, PartResult>): string {
  const lines = [
    headings,
    ...Object.entries(parts).flatMap(([name, { rows }]) => rows.map((row) => toCells(name, row)))
  ]
  const widths = headings.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)))
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}
