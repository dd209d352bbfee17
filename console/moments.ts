/** Milliseconds of a day. */
export const DAY_MS = 86_400_000

const pad = (number: number, length = 2): string => String(number).padStart(length, '0')

/** A moment as the text of a `datetime-local` field, in the viewer's zone. */
export function toFieldText(time: Date): string {
  const day = `${pad(time.getFullYear(), 4)}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`
  return `${day}T${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`
}

/** Reads such a text; undefined if it is none. */
export function fromFieldText(text: string): Date | undefined {
  return readMoment(text)
}

/** Reads a moment of an address; undefined if it is none. */
export function readMoment(text: string): Date | undefined {
  const time = new Date(text)
  return text === '' || Number.isNaN(time.getTime()) ? undefined : time
}

/** A moment as it stands in an address: to the second, in UTC. */
export function writeMoment(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

/** Noon of a day in the viewer's zone, so many days ago. */
export function noonOf(daysAgo: number): Date {
  const now = new Date()
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo, 12)
}
