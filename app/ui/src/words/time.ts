/** Instants and durations as people say them. */

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' })
const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' })
const short = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' })

/** `3 min. ago`, `in 2 days`; within a minute `just now` or, ahead, `in 12 sec.` */
export function fromNow(instant: string, now: number): string {
  const seconds = Math.round((Date.parse(instant) - now) / 1000)
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit)
  }
  return seconds > 0 ? relative.format(seconds, 'second') : 'just now'
}

/** With seconds and the zone of this browser. */
export function exactly(instant: string): string {
  return exact.format(new Date(instant))
}

/** Day and minute, in the zone of this browser. */
export function dayAndTime(instant: string): string {
  return short.format(new Date(instant))
}

/** Whole seconds as `0:42`, `12:05` or `1:02:03`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const tail = `${String(rest).padStart(2, '0')}`
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`
}

/** Seconds as `45 s`, `12 min` or `3 h 20 min`. */
export function length(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60]
  return hours ? `${hours} h${rest ? ` ${rest} min` : ''}` : `${minutes} min`
}

/** The instant at which a day of `<input type="date">` begins or ends in this browser's zone; null for no day. */
export function boundOfDay(day: string, end: boolean): string | null {
  if (!day) return null
  const instant = new Date(`${day}T${end ? '23:59:59' : '00:00:00'}`)
  return Number.isNaN(instant.getTime()) ? null : instant.toISOString()
}

/** An instant as `<input type="datetime-local">` shows it. */
export function forInput(instant: Date): string {
  const local = new Date(instant.getTime() - instant.getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 16)
}
