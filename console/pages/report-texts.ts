import { language } from '../language.ts'
import { addDays, type ReportContent, type ReportSubject } from '../reports.ts'
import { t } from '../texts.ts'

export function describeSubject(subject: ReportSubject): string {
  switch (subject.kind) {
    case 'all':
      return t.reports.allUsers
    case 'segment':
      return t.reports.ofSegment(subject.slug)
    case 'user':
      return t.reports.ofUser(subject.userId)
  }
}

/** The days of an interval, which are those of UTC: both of the text are inclusive. */
export function describeDays({ from, to }: Pick<ReportContent, 'from' | 'to'>): string {
  const format = new Intl.DateTimeFormat(language.value, { dateStyle: 'medium', timeZone: 'UTC' })
  return format.formatRange(Date.parse(from), Date.parse(addDays(to, -1)))
}

export function describeMonth(month: string): string {
  const format = new Intl.DateTimeFormat(language.value, { month: 'long', year: 'numeric', timeZone: 'UTC' })
  return format.format(Date.parse(month))
}
