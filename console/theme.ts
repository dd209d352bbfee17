import { Store } from './store.ts'

export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

const STORED = 'user-segments.theme'

const stored = localStorage.getItem(STORED)

/** Light or dark, or what the system says. The styles read the attribute. */
export const theme = new Store<Theme>(themes.find((name) => name === stored) ?? 'system')

document.documentElement.dataset['theme'] = theme.value

export function setTheme(chosen: Theme): void {
  localStorage.setItem(STORED, chosen)
  document.documentElement.dataset['theme'] = chosen
  theme.set(chosen)
}

/** Calls the listener whenever the colours may have changed. Returns what ends that. */
export function onThemeChange(listener: () => void): () => void {
  const system = matchMedia('(prefers-color-scheme: dark)')
  system.addEventListener('change', listener)
  const unsubscribe = theme.subscribe(listener)
  return () => {
    system.removeEventListener('change', listener)
    unsubscribe()
  }
}
