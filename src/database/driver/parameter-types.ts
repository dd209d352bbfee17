import type { PostgresType } from 'postgres'

/** The type of an array parameter, by its object id. No result contains such an array. */
function arrayParameter(id: number, writeElement: (element: string) => string): PostgresType {
  return {
    to: id,
    from: [id],
    // postgres.js sends a statement again if its plan has changed; then the parameters are already text.
    serialize: (elements: (string | null)[] | string) =>
      typeof elements === 'string'
        ? elements
        : `{${elements.map((element) => (element === null ? 'null' : writeElement(element))).join()}}`,
    parse: (text: string) => text
  }
}

/**
 * The types of parameters. By default postgres.js reads all array types on each new connection; losing the connection
 * at that moment ended the process.
 *
 * @see https://github.com/porsager/postgres/issues/1219
 */
export const PARAMETER_TYPES = {
  fetch_types: false,
  types: {
    bigints: arrayParameter(1016, (id) => id),
    texts: arrayParameter(1009, (text) => `"${text.replace(/["\\]/g, '\\$&')}"`),
    // Times stay text. By default postgres.js converts them to Date, which has no microseconds.
    times: { to: 1184, from: [], serialize: (time: string) => time, parse: (text: string) => text }
  }
}
