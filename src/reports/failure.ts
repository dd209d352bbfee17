const messages = {
  database: 'the history could not be read from the database',
  storage: 'the report could not be stored',
  size: 'the finished reports of the key would take more than 4 GiB: delete some of them, then order it again',
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

/** Whether the report is too large. Then each attempt would fail. */
export function isSizeFailure({ message }: Error): boolean {
  return message === messages.size
}
