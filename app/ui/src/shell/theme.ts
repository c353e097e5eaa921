/** Light, dark, or what the system says; remembered in this browser. */
export type Theme = 'system' | 'light' | 'dark'

const KEY = 'voxforge-theme'

export function theme(): Theme {
  const stored = localStorage.getItem(KEY)
  return stored === 'light' || stored === 'dark' ? stored : 'system'
}

export function setTheme(next: Theme): void {
  localStorage.setItem(KEY, next)
  applyTheme()
}

export function applyTheme(): void {
  const chosen = theme()
  if (chosen === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = chosen
}
