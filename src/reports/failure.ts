const messages = {
  database: 'the history could not be read from the database',
  storage: 'the report could not be stored',
  overdue: 'it took longer than half an hour',
  thread: 'the thread that made it has ended'
} as const

/** Why a report could not be made: the message is what those who ordered it may know, the cause what happened. */
export class ReportFailure extends Error {
  constructor(kind: keyof typeof messages, cause?: unknown) {
    super(messages[kind], { cause })
  }
}

/** Errors lose their class on their way out of a thread: an unknown one comes from the thread's end. */
export function toReportFailure(error: unknown): Error {
  const known = error instanceof Error && Object.values<string>(messages).includes(error.message)
  return known ? error : new ReportFailure('thread', error)
}
