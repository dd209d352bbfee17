/**
 * Reads a percentage as a share from 0 to 1; undefined if it is none. A comma is as good as a point. The digits stay as they
 * are: dividing would make 7 % of 0.07000000000000001.
 */
export function parsePercent(text: string): number | undefined {
  const match = /^\s*(\d{1,3})(?:[.,](\d{1,10}))?\s*%?\s*$/.exec(text)
  if (!match) return undefined
  const [, whole = '', fraction = ''] = match
  const share = Number(`${whole}${fraction}e-${fraction.length + 2}`)
  return share <= 1 ? share : undefined
}

/** A share as the text of a percentage, with all its digits. */
export function toPercent(share: number): string {
  return String(Number((share * 100).toPrecision(12)))
}

/** How many users a share of all users is, as the service counts: rounded up, in decimal arithmetic. */
export function countShare(share: number, users: number): number {
  const [whole = '0', fraction = ''] = share.toFixed(12).split('.')
  const scale = 10n ** BigInt(fraction.length)
  const product = BigInt(whole + fraction) * BigInt(users)
  return Number((product + scale - 1n) / scale)
}
