/** Explains frequent mistakes in values, for messages of any route. Each returns undefined if it finds none. */

function explainSpaces(text: string): string | undefined {
  return text === text.trim() ? undefined : 'it begins or ends with a space'
}

/** Shows a character with its code point, because a Cyrillic А looks like a Latin A. */
function showCharacter(character: string): string {
  const code = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')
  return /[\p{L}\p{N}\p{P}\p{S}]/u.test(character) ? `(${character}), U+${code},` : `U+${code}`
}

const scripts: [pattern: RegExp, name: string][] = [
  [/\p{Script=Cyrillic}/u, 'Cyrillic'],
  [/\p{Script=Greek}/u, 'Greek']
]

export function explainSlug(slug: string): string | undefined {
  const [foreign] = /[^\0-\x7f]/u.exec(slug) ?? []
  if (foreign === undefined) return explainSpaces(slug)
  const script = scripts.find(([pattern]) => pattern.test(foreign))?.[1]
  const which = script === undefined ? 'is not a Latin letter' : `is a ${script} letter, not a Latin one`
  return `${showCharacter(foreign)} ${which} from A to Z`
}

export function explainUserId(text: string): string | undefined {
  if (/^[1-9]([.,][0-9]+)?e\+?[0-9]+$/i.test(text))
    return 'it is in scientific notation, so a spreadsheet may have rounded it'
  if (/^0+[1-9][0-9]*$/.test(text)) return 'it begins with 0'
  return explainSpaces(text)
}

const yearLast = /^([0-3]?[0-9])[./-]([0-3]?[0-9])[./-][0-9]{4}/

export function explainDay(text: string): string | undefined {
  return yearLast.test(text) ? 'the year comes first' : explainSpaces(text)
}

export function explainTime(text: string): string | undefined {
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return 'the time of day is missing'
  if (/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?$/.test(text))
    return 'the offset is missing, such as Z for UTC'
  if (/^\d{4}-\d\d-\d\d \d\d:\d\d/.test(text)) return 'T must be between the day and the time'
  return explainDay(text)
}

/** Control characters and lone surrogates, which text for people must not have. */
export function explainText(text: string): string | undefined {
  const [control] = /[\p{Cc}\p{Cs}]/u.exec(text) ?? []
  return control === undefined ? undefined : `it contains ${showCharacter(control)}`
}
