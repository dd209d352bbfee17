import type { Sql } from 'postgres'

/** Called when a statement is ordered; what it returns is called when that statement has ended. */
export type StatementObserver = () => () => void

/** What the types of postgres.js don't show: how it sends a statement and settles it, and the connection it was sent on. */
type Statement = Promise<unknown> & {
  handler: (statement: Statement) => void
  resolve: (result: unknown[] & { command: string | null }) => void
  reject: (error: unknown) => void
  state: object | null
}

/** Has all statements of a pool mended and observed. */
export function wrapStatements(sql: Sql, observer: StatementObserver = () => () => {}): Sql {
  const callers = new WeakMap<object, { stack?: string }>()

  function call(target: Sql, self: unknown, parameters: [object]): unknown {
    const statement: unknown = Reflect.apply(target, self, parameters)
    if (!(statement instanceof Promise)) return statement
    const [template] = parameters
    const caller = callers.get(template) ?? captureCaller(call)
    callers.set(template, caller)
    wrapStatement(statement as Statement, caller, observer)
    return statement
  }

  return new Proxy(sql, { apply: call })
}

/** Errors of statements that were never sent. */
export const unsent = new WeakSet<object>()

/**
 * Mends a statement's outcome. What postgres.js knows of a statement outlives its connection. Where one failed, or was
 * lost, after it had sent rows, the next result on that connection begins with as many holes; and where a server has
 * said why it ends a connection, that is the error of the statement for which there is a new one, before it was sent. On
 * encrypted connections, whose sockets are its own, a statement may be taken for done that nobody got: see
 * `tellErrorWithClose`, at their sockets. The frames by which it says where a failed statement stands end before the caller.
 *
 * Tells the observer, as postgres.js tells nobody what its connections do. It sends a statement, by its `handler`, when
 * the result is first asked for, which that of a fragment never is.
 *
 * What a statement has is replaced, and nothing added: V8 would keep it as a dictionary then, which takes postgres.js
 * several times as long.
 *
 * @see https://github.com/porsager/postgres/issues/1119
 */
function wrapStatement(statement: Statement, caller: { stack?: string }, observer: StatementObserver): void {
  const { handler, resolve, reject } = statement
  let end = () => {}
  // That of a lost connection is settled once more when the next one is ready.
  let isSettled = false

  statement.handler = (sent) => {
    end = observer()
    handler(sent)
  }
  statement.resolve = (result) => {
    if (isSettled) return
    isSettled = true
    end()
    if (Array.isArray(result) && result.command === null) {
      const error = new Error('the statement has met the end of its connection')
      reject(Object.assign(error, { code: 'CONNECTION_CLOSED' }))
      return
    }
    let holes = 0
    while (holes < result.length && !(holes in result)) holes += 1
    if (holes > 0) result.splice(0, holes)
    resolve(result)
  }
  statement.reject = (error) => {
    if (isSettled) return
    isSettled = true
    end()
    if (error instanceof Error) {
      if (statement.state === null) unsent.add(error)
      addFrame(error, caller)
    }
    reject(error)
  }
}

/** The frame of whoever called a function that is running. */
function captureCaller(called: (...parameters: never[]) => unknown): { stack?: string } {
  const caller = {}
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 1
  Error.captureStackTrace(caller, called)
  Error.stackTraceLimit = stackTraceLimit
  return caller
}

function addFrame(error: Error, { stack = '' }: { stack?: string }): void {
  const frame = stack.slice(stack.indexOf('\n') + 1)
  const value = `${error.stack}\n${frame}`
  Object.defineProperty(error, 'stack', { value, configurable: true, writable: true })
}
