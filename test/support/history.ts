/** A row of a history report: the user, the segment, `add` or `delete`, and when. */
export type HistoryRow = { userId: string; slug: string; operation: string; date: string }

const header = 'user_id,segment_slug,operation,date\n'

/** Parses the rows of a history report. Throws if the text is not a complete report. */
export function parseHistory(csv: string): HistoryRow[] {
  if (!csv.startsWith(header) || !csv.endsWith('\n')) throw new Error(`not a history report: ${csv}`)
  const lines = csv.slice(header.length).split('\n').slice(0, -1)
  return lines.map((line) => {
    const [userId = '', slug = '', operation = '', date = '', ...more] = line.split(',')
    if (!/^(add|delete)$/.test(operation) || more.length > 0)
      throw new Error(`not a row of a history: ${line}`)
    return { userId, slug, operation, date }
  })
}

/**
 * Replays a history, and returns the sorted slugs of the user at its end. Throws if two periods of one segment overlap.
 *
 * @param look receives the user's slugs after each row.
 */
export function replay(rows: HistoryRow[], look: (active: ReadonlySet<string>) => void = () => {}): string[] {
  const active = new Set<string>()
  for (const { slug, operation, date } of rows) {
    if (operation === 'add' ? active.has(slug) : !active.has(slug))
      throw new Error(`${operation} ${slug} twice, at ${date}`)
    if (operation === 'add') active.add(slug)
    else active.delete(slug)
    look(active)
  }
  return [...active].sort()
}
