import { Type } from '@sinclair/typebox'

/** The metrics in the Prometheus text format. */
export const metricsResponse = {
  description: 'The metrics, in the text form of Prometheus.',
  content: {
    'text/plain': {
      schema: Type.String(),
      examples: {
        excerpt: {
          value:
            '# HELP user_segments_database_up 1 if the database accepted the connection of this scrape and answered, otherwise 0.\n' +
            '# TYPE user_segments_database_up gauge\n' +
            'user_segments_database_up 1\n'
        }
      }
    }
  }
}
