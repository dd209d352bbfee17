// Without imports: the threads that generate reports load this, and loading TypeBox takes as long as a small report.

/** The columns of a history report, in their order. */
export const reportColumns = ['user_id', 'segment_slug', 'operation', 'date'] as const

/** The further columns of a report with details. */
export const detailColumns = ['cause', 'actor', 'expires_at'] as const
