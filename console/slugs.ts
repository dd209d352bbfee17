const slugPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/

/** Whether a text can be the slug of a segment or a group. */
export const isSlug = (text: string): boolean => slugPattern.test(text)
