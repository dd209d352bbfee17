const messages = {
  database: 'the history could not be read from the database',
  storage: 'the report could not be stored',
  overdue: 'it took longer than half an hour',
  thread: 'the thread that made it has ended'
} as const

/** Why a report could not be generated. The API shows the message; the cause is only logged. */
export class ReportFailure extends Error {
  constructor(kind: keyof typeof messages, cause?: unknown) {
    super(messages[kind], { cause })
  }
}

/**
 * Errors lose their class when they leave a worker thread, so this recognizes a {@link ReportFailure} by its message.
 * Any other error means that the thread has ended.
 */
export function toReportFailure(error: unknown): Error {
  const known = error instanceof Error && Object.values<string>(messages).includes(error.message)
  return known ? error : new ReportFailure('thread', error)
}
