/** A user id, from 1 to 9223372036854775807. As a number, it must be one that JavaScript holds exactly. */
export type UserId = string | number | bigint

const MAX_USER_ID = 2n ** 63n - 1n

/**
 * A user id as text.
 *
 * Checked here, as it becomes part of a path, and as lookups share a request: one invalid id would fail all of them.
 *
 * @throws {TypeError} if it is none.
 */
export function readUserId(userId: UserId): string {
  const text = String(userId)
  const isExact = typeof userId !== 'number' || Number.isSafeInteger(userId)
  if (!isExact || !/^[1-9]\d{0,18}$/.test(text) || BigInt(text) > MAX_USER_ID) {
    throw new TypeError(`(${text}) is not a user id: an integer from 1 to 9223372036854775807`)
  }
  return text
}

/**
 * A slug, in the form of a path's part.
 *
 * @throws {TypeError} if it is none: it could lead to another path.
 */
export function readSlug(slug: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(slug)) {
    throw new TypeError(`(${slug}) is not a slug: 1 to 128 letters, digits, "_", "-" or "."`)
  }
  return slug
}

/**
 * The id of a webhook, in the form of a path's part.
 *
 * @throws {TypeError} if it is none: it could lead to another path.
 */
export function readWebhookId(id: string): string {
  if (!/^[1-9]\d{0,17}$/.test(id)) throw new TypeError(`(${id}) is not the id of a webhook`)
  return id
}
