import { Store } from './store.ts'

export const languages = ['en', 'ru'] as const
export type Language = (typeof languages)[number]

const STORED = 'user-segments.language'

function isLanguage(text: string | null | undefined): text is Language {
  return languages.some((language) => language === text)
}

function chooseLanguage(): Language {
  const stored = localStorage.getItem(STORED)
  if (isLanguage(stored)) return stored
  const offered = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase())
  return offered.find(isLanguage) ?? 'en'
}

/** The language of the viewer: that of the browser, unless another was chosen. */
export const language = new Store<Language>(chooseLanguage())

document.documentElement.lang = language.value

export function setLanguage(chosen: Language): void {
  localStorage.setItem(STORED, chosen)
  document.documentElement.lang = chosen
  language.set(chosen)
}

/** The words of a number: English has two forms, Russian three. */
export function chooseForm(number: number, forms: Partial<Record<Intl.LDMLPluralRule, string>>): string {
  const rule = new Intl.PluralRules(language.value).select(number)
  return forms[rule] ?? forms.many ?? forms.other ?? ''
}

/** A number with its digits grouped. */
export const formatCount = (number: number): string => number.toLocaleString(language.value)

/** A share from 0 to 1, as a percentage with all its digits. */
export const formatShare = (share: number): string =>
  share.toLocaleString(language.value, { style: 'percent', maximumFractionDigits: 6 })

/** A part of a whole, as a percentage that is rounded for reading. */
export const formatPart = (part: number): string =>
  part.toLocaleString(language.value, { style: 'percent', maximumSignificantDigits: 3 })

const byteUnits = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const

/** A size, in the largest unit of which it has at least one. */
export function formatBytes(bytes: number): string {
  const power = Math.min(byteUnits.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  return (bytes / 1_000 ** power).toLocaleString(language.value, {
    style: 'unit',
    unit: byteUnits[power],
    unitDisplay: power === 0 ? 'long' : 'short',
    maximumSignificantDigits: 3
  })
}

const timeUnits = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1]
] as const

/** A length of time, in the largest unit of which it has at least one. */
export function formatDuration(seconds: number): string {
  const [unit, length] = timeUnits.find(([, length]) => seconds >= length) ?? ['second', 1]
  return Math.floor(seconds / length).toLocaleString(language.value, {
    style: 'unit',
    unit,
    unitDisplay: 'long'
  })
}
