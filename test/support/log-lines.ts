import type { Test } from 'tap'
import type { LogSink } from '../../src/telemetry/stdout-log.ts'

export type LogLine = {
  level: number
  msg: string
  request_id?: string
  err?: { message: string; stack: string; code?: string }
  [field: string]: unknown
}

/** The numbers of pino's levels. */
export const levels = { info: 30, warn: 40, error: 50 }

/** The log of a service in a test. */
export class LogLines implements LogSink {
  readonly lines: LogLine[] = []
  readonly lost = 0

  write(line: string): void {
    this.lines.push(JSON.parse(line))
  }

  /** The lines with one message. */
  of(message: string): LogLine[] {
    return this.lines.filter(({ msg }) => msg === message)
  }

  clear(): void {
    this.lines.length = 0
  }
}

/** Asserts that there are these lines and no others; `t.match` alone would ignore additional ones. */
export function matchLines(t: Test, lines: LogLine[], patterns: object[]): void {
  t.equal(lines.length, patterns.length, JSON.stringify(lines))
  t.match(lines, patterns)
}
