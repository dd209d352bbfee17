import { Type } from '@sinclair/typebox'

/** The metrics in Prometheus' text form. */
export const metricsResponse = {
  description: 'The metrics, in the text form of Prometheus.',
  content: {
    'text/plain': {
      schema: Type.String(),
      examples: {
        excerpt: {
          value:
            '# HELP user_segments_database_up Whether the database let this scrape in and answered it.\n' +
            '# TYPE user_segments_database_up gauge\n' +
            'user_segments_database_up 1\n'
        }
      }
    }
  }
}
