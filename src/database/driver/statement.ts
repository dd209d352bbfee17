import postgres from 'postgres'
import { PARAMETER_TYPES } from './parameter-types.ts'

/** The template tag that creates statements. It lacks the methods that postgres.js has for pools. */
export type Sql = postgres.ISql

/** Members of a statement that the types of postgres.js do not show: how it is sent and settled. */
export type Statement = Promise<Record<string, unknown>[] & { command: string }> & {
  handler: (statement: Statement) => void
  resolve: (result: unknown[]) => void
  reject: (error: unknown) => void
  /** Called with each batch of a cursor's rows. */
  cursorFn?: (rows: unknown[]) => unknown
  /** The PostgreSQL process that the statement was sent to, and the secret that cancels it; null before. */
  state: { pid: number; secret: number } | null
}

/** Creates statements and fragments. It is closed, so it never sends any. */
const factory = postgres({ ...PARAMETER_TYPES, max: 0 })
/** The callback of a cursor returns this to close the cursor. */
export const { CLOSE } = factory
void factory.end()

/**
 * Creates a template tag. `send` sends a statement when its result is first awaited; fragments are never awaited.
 *
 * Only the statement's `handler` is replaced, and no property is added. An added property would make V8 store the
 * object as a dictionary, with which postgres.js takes several times as long.
 *
 * @param own further properties of the tag.
 */
export function createSql<T extends object>(send: (statement: Statement) => void, own: T): Sql & T {
  function redirect(statement: unknown): unknown {
    if (statement instanceof Promise) (statement as Statement).handler = send
    return statement
  }
  const properties = {
    ...own,
    unsafe: (...parameters: Parameters<Sql['unsafe']>) => redirect(factory.unsafe(...parameters))
  }
  return new Proxy(factory, {
    apply: (target, self, parameters) => redirect(Reflect.apply(target, self, parameters)),
    get: (target, name) => Reflect.get(name in properties ? properties : target, name)
  }) as unknown as Sql & T
}

/** Creates a statement of the simple query protocol. It may contain several commands, separated by semicolons. */
export function createStatement(text: string): Statement {
  return factory.unsafe(text) as unknown as Statement
}

/**
 * Calls `settled` when the statement has ended, before its promise settles. The promise is rejected with the error that
 * `settled` returns.
 *
 * It also repairs the result: after a statement that failed when some of its rows had arrived, postgres.js starts the
 * next result on that connection with as many holes.
 *
 * @see https://github.com/porsager/postgres/issues/1119
 */
export function onSettled(statement: Statement, settled: (error?: unknown) => unknown): void {
  const { resolve, reject } = statement
  let isSettled = false
  statement.resolve = (result) => {
    if (isSettled) return
    isSettled = true
    let holes = 0
    while (holes < result.length && !(holes in result)) holes += 1
    if (holes > 0) result.splice(0, holes)
    settled()
    resolve(result)
  }
  statement.reject = (error) => {
    if (isSettled) return
    isSettled = true
    reject(settled(error))
  }
}
