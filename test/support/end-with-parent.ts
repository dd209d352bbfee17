/**
 * Preloaded into a process that a test starts: it ends when the test's process does, however that ends. tap kills a file
 * that takes too long.
 */
process.once('disconnect', () => process.exit(1))
process.channel?.unref()
