/**
 * All time limits and bounds of the service. Times are in milliseconds unless the name says otherwise. Limits that
 * depend on each other are next to each other, the shortest first. An inner wait must end before the outer one, so that
 * the client gets the actual reason instead of a timeout. `test/limits.test.ts` asserts the order.
 */

// --- A statement that takes milliseconds ---

/** PostgreSQL cancels a statement that waits longer for a lock. */
export const LOCK_TIMEOUT_MS = 4_000
/** PostgreSQL cancels a statement that takes longer. */
export const STATEMENT_TIMEOUT_MS = 5_000
/**
 * PostgreSQL ends a transaction that is idle for longer. Longer than MAX_EVENT_LOOP_DELAY_MS, by which the service may
 * be late; not longer than a statement, because the transaction holds its locks meanwhile.
 */
export const IDLE_IN_TRANSACTION_TIMEOUT_MS = 5_000
/** A connection without an answer for this long after the statement timeout is dead. */
export const ANSWER_MARGIN_MS = 1_000
/** The time to establish a connection. */
export const CONNECT_TIMEOUT_MS = 5_000

/** The maximum number of attempts after brief faults, the first one included. */
export const MAX_ATTEMPTS = 4
/** An attempt that fails later than this after the first one has started is not repeated. */
export const LAST_RETRY_MS = 2_000
/** The longest random pause before the second attempt. It doubles before each further attempt. */
export const FIRST_PAUSE_MS = 50
/** The upper limit of that pause. */
export const LONGEST_PAUSE_MS = 2_000

// --- A statement over many users ---

/** PostgreSQL cancels a statement that waits longer for a lock. */
export const BULK_LOCK_TIMEOUT_MS = 60_000
/** PostgreSQL cancels a statement that takes longer. Sampling from ten million users takes tens of seconds. */
export const BULK_STATEMENT_TIMEOUT_MS = 600_000
/** The time to answer a request that waits for such a statement. */
export const BULK_DEADLINE_MS = BULK_STATEMENT_TIMEOUT_MS + 10_000

// --- A request ---

/** The time in which the head of a request must arrive, and its body. */
export const ARRIVAL_TIMEOUT_MS = 10_000
/** The time to answer, from the end of the body. */
export const REQUEST_DEADLINE_MS = 10_000
/** The time to answer a probe. */
export const PROBE_DEADLINE_MS = 2_000
/** How long a scrape of the metrics waits for the database. Prometheus cancels a scrape after ten seconds. */
export const SCRAPE_TIMEOUT_MS = 1_000
/** How long an idle client connection stays open. Longer than load balancers keep it, so that they close it first. */
export const CLIENT_KEEP_ALIVE_MS = 75_000
/** A client connection without a byte in either direction for this long is dead: every answer begins earlier. */
export const CLIENT_TIMEOUT_MS = BULK_STATEMENT_TIMEOUT_MS + 60_000
/** A download whose client reads nothing for this long is aborted. */
export const STALL_TIMEOUT_MS = 60_000

/** Files that the process opens itself: its connections to PostgreSQL, its threads, their reports, the log and its code. */
export const RESERVED_FILES = 128
/** A connection, and the report that is sent on it. */
export const FILES_PER_CONNECTION = 2
/** The limit of open files where the system does not say it. */
export const DEFAULT_OPEN_FILES = 4_096
/** The maximum number of client connections, however many files may be open. An idle one takes about 10 kB. */
export const MAX_CONNECTIONS = 10_000
/** The service does not start if the limit of open files allows fewer client connections. */
export const MIN_CONNECTIONS = 32

/** The maximum size of a request's body. */
export const MAX_BODY_BYTES = 2 ** 20
/** Characters of a path parameter. More than Node.js accepts, so that the schema decides about a long parameter. */
export const MAX_PARAM_LENGTH = 65_536

/**
 * The maximum number of requests in flight on a route. Further requests are refused at once: queueing them would only
 * make all of them late. A lower limit would not help lookups: a refusal costs the process more than half of what a
 * lookup costs, and lookups that arrive together share a query, so with a lower limit the process would do little but
 * refuse.
 */
export const MAX_IN_FLIGHT = 256
/**
 * The maximum number of membership changes in flight. Each one waits for the disk on a connection of the pool for
 * writes; at this limit, the last one waits for three commits before its own. More would not increase the throughput.
 */
export const MAX_CHANGES_IN_FLIGHT = 64
/** The maximum number of users in one lookup query, so that a burst is not one query for which all of it waits. */
export const MAX_LOOKUP_USERS = 500
/**
 * The maximum number of segments that one request for OpenFeature evaluates. The answer then has 1.7 MB with slugs of
 * usual length, and takes 5 ms of this process's CPU.
 */
export const MAX_BULK_FLAGS = 20_000
/** The maximum number of such evaluations in flight. Each one holds its answer in memory until the client has read it. */
export const MAX_BULK_EVALUATIONS_IN_FLIGHT = 64
/** If the mean delay of the event loop exceeds this, requests are refused. */
export const MAX_EVENT_LOOP_DELAY_MS = 1_000
/** The interval over which that delay is measured. The result applies during the next interval. */
export const EVENT_LOOP_INTERVAL_MS = 1_000
/** The interval at which the log counts the requests that were refused because too many were in flight. */
export const REFUSAL_LOG_INTERVAL_MS = 1_000

/** The time over which requests are counted for limits of requests a second. */
export const RATE_WINDOW_MS = 1_000
/**
 * Requests a second that one address may send without a valid key. A page of Swagger UI takes ten. At this rate, they take
 * a tenth of a processor, even if each one is answered with the largest file.
 */
export const STRANGER_RATE_LIMIT = 50
/**
 * How much of a request each file of the console counts as: a page has some fifty of them, 3 kB each, and a browser that has
 * them asks for none. At 500 a second they take as much of a processor as the largest files of Swagger UI at 50.
 */
export const ASSET_WEIGHT = 0.1
/** Refusals after a pause in a second, of all clients. Further ones wait longer. */
export const MAX_REFUSALS = 200
/** The shortest wait before such a refusal. */
export const MIN_REFUSAL_PAUSE_MS = 1_000
/** The longest wait before such a refusal. */
export const MAX_REFUSAL_PAUSE_MS = 10_000
/** The maximum number of requests for the documentation in flight. It is in memory: they wait for their clients alone. */
export const MAX_PAGES_IN_FLIGHT = 64
/** The same for the files of the console. A visitor asks for 50 of them at once, and a missing one leaves the page blank. */
export const MAX_CONSOLE_FILES_IN_FLIGHT = 1_000
/**
 * The files of the console are made this long after the start, or for the first visitor: it takes a second of a processor,
 * which the first requests of a new process may need.
 */
export const CONSOLE_DELAY_MS = 5_000
/** A client of the documentation that reads nothing for this long is disconnected. */
export const PAGE_STALL_TIMEOUT_MS = 10_000

// --- Uploads and downloads ---

/** An upload is aborted if no byte arrives for this long while the service waits for one. */
export const UPLOAD_IDLE_TIMEOUT_MS = 30_000
/** The time in which an upload must arrive completely. */
export const UPLOAD_TIMEOUT_MS = 3_600_000
/** An upload whose bytes come more slowly, on average over UPLOAD_RATE_WINDOW_MS of waiting for them, is aborted. */
export const MIN_UPLOAD_BYTES_PER_SECOND = 1_024
/** The time over which that average is measured. Time that the service spends on the upload itself does not count. */
export const UPLOAD_RATE_WINDOW_MS = 60_000
/** The maximum size of an upload: 1 GiB. */
export const MAX_UPLOAD_BYTES = 2 ** 30
/** The maximum number of lines of an upload. Each stored line takes about 60 bytes of the database until the end. */
export const MAX_UPLOAD_LINES = 50_000_000
/** Each user id below this is stored once for an upload, however often it appears: a bit per id, 2 MiB in memory. */
export const SHORT_IDS = 2 ** 24
/** Characters of a line. A longer line is rejected without parsing it, which bounds the memory that an upload takes. */
export const MAX_LINE_LENGTH = 65_536
/** The maximum number of rejected lines that the answer shows. */
export const MAX_SHOWN_LINES = 20
/**
 * From this number of lines on, joins of an import read all users. With a million users, that takes as long as looking up
 * each user of the import.
 */
export const LARGE_IMPORT_LINES = 200_000
/** Concurrent uploads of an instance. */
export const MAX_IMPORTS = 4
/** Concurrent uploads with one key of an instance; without keys, from one address. The others are left to others. */
export const MAX_IMPORTS_PER_CALLER = 2
/** The lines of an older import are removed: its instance has crashed. */
export const IMPORT_LIFETIME_MS = 2 * (UPLOAD_TIMEOUT_MS + BULK_STATEMENT_TIMEOUT_MS)
/** Concurrent downloads of an instance. Each one holds a connection and a snapshot. */
export const MAX_DOWNLOADS = 4
/** Users on one page of a download: up to 200 kB of text. */
export const DOWNLOAD_PAGE_SIZE = 10_000
/** PostgreSQL ends the idle transaction of a stalled download, if the service has not aborted it before. */
export const DOWNLOAD_IDLE_TIMEOUT_MS = STALL_TIMEOUT_MS + 30_000
/**
 * The time in which a client must read a download completely. The snapshot of a download prevents vacuuming, so it may
 * take no longer than other statements over many users. Ten million users then need 17,000 users a second.
 */
export const DOWNLOAD_TIMEOUT_MS = BULK_STATEMENT_TIMEOUT_MS

// --- Connections of an instance to PostgreSQL ---

/** Membership lookups nearly always use two. The others are for other reads, and for times when the disk is slow. */
export const READ_CONNECTIONS = 12
/** Writes wait for the disk. PostgreSQL commits concurrent ones in groups. */
export const WRITE_CONNECTIONS = 16
/** Lists and counts of members. They use more CPU than any other read, so few run at once. */
export const LIST_CONNECTIONS = 4
/** The maximum number of lists of segments in flight. Each one sends a statement for each segment. */
export const MAX_LISTS_IN_FLIGHT = 2 * LIST_CONNECTIONS
/** Reads of the change feed. */
export const CHANGE_CONNECTIONS = 4
/** The interval at which read servers are checked. A READ_STALENESS of 1 s is the shortest, which needs two checks. */
export const READ_SERVER_CHECK_MS = 500
/** A lookup waits this long for a standby that has not seen its token yet. Then DATABASE_URL is asked. */
export const READ_SERVER_WAIT_MS = 50
/** The first pause of that wait. It doubles each time. */
export const READ_SERVER_FIRST_PAUSE_MS = 2
/** A read server that has not answered a lookup or a check in this time is left out. */
export const READ_SERVER_TIMEOUT_MS = 1_000
/** A read server that was left out is checked again after this long. The pause doubles while lookups keep failing. */
export const READ_SERVER_RETRY_MS = 1_000
/** The upper limit of that pause. */
export const READ_SERVER_LONGEST_RETRY_MS = 10_000
/** The readiness probe waits for no other request. */
export const PROBE_CONNECTIONS = 1
/** Counts of the users that segments share. Each may take all memberships of many segments, so few run at once. */
export const MAX_OVERLAPS = 2
/** Background jobs that use the pool for bulk work. */
export const BULK_JOBS = 4
/** Uploads, downloads, counts and jobs may take minutes; four more are for requests that create and change segments. */
export const BULK_CONNECTIONS = MAX_IMPORTS + MAX_DOWNLOADS + MAX_OVERLAPS + BULK_JOBS + 4
/** TCP keep-alive: the system probes a silent connection after this many seconds. */
export const KEEP_ALIVE_SECONDS = 5
/** A connection for bulk work is closed after being idle for this long. */
export const IDLE_CONNECTION_TIMEOUT_MS = 60_000
/** A connection is replaced at a random age between this and twice as much. */
export const CONNECTION_LIFETIME_MS = 1_800_000

// --- Background jobs ---

/** The pause of a job after a failure. */
export const JOB_RETRY_MS = 1_000
/** The shortest pause between two steps. */
export const MIN_JOB_PAUSE_MS = 5
/** How often an instance looks for segments to fill or to close that another instance has accepted. */
export const SEGMENT_JOB_POLL_MS = 5_000
/** Users that one step adds. Requests that change memberships in the same segment wait for the step. */
export const ASSIGNMENT_CHUNK_SIZE = 2_000
/** After this many consecutive failures an assignment has failed. */
export const MAX_ASSIGNMENT_FAILURES = 5
/** Periods that one step closes. */
export const CLOSING_BATCH_SIZE = 500
/** How often an instance looks for lines that ended imports of other instances have left. */
export const IMPORT_SWEEP_MS = 60_000
/** Batches into which what a replacement changes is divided, so that it is removed in several steps. */
export const SWEEPABLE_BATCHES = 1_000
/** Batches, of 2,000 lines or more, that one step removes. */
export const IMPORT_SWEEP_SIZE = 20
/** How often an instance looks for expired answers of writes with an `Idempotency-Key`. */
export const IDEMPOTENCY_SWEEP_MS = 600_000
/** The most moments at which the sizes of a segment are answered. */
export const MAX_SIZES = 2_000
/** A list of segments ends early when counting members has taken this long. */
export const COUNTING_TIMEOUT_MS = 3_000

// --- Exclusive groups ---

/** Segments of a group. A change of many of its members locks all of them. */
export const MAX_GROUP_SEGMENTS = 100

// --- The change feed ---

/** Users of one row of the log: 16 kB. */
export const CHANGE_ROW_USERS = 2_000
/** Rows of the log that one statement of a filtered read looks at. */
export const MAX_SCANNED_CHANGES = 5_000
/** How often an instance looks for changes while requests wait for one. */
export const CHANGE_POLL_MS = 25
/** The longest time, in seconds, that a request may wait for a change. */
export const MAX_CHANGE_WAIT_SECONDS = 30
/** The time to answer such a request. */
export const CHANGE_DEADLINE_MS = MAX_CHANGE_WAIT_SECONDS * 1_000 + REQUEST_DEADLINE_MS
/** The maximum number of requests in flight that read changes or wait for them. */
export const MAX_CHANGE_READERS = 128
/** The maximum number of streams of changes of an instance. */
export const MAX_CHANGE_STREAMS = 64
/** Changes that a stream reads at once. */
export const CHANGE_STREAM_PAGE_SIZE = 1_000
/** A stream without changes sends a line after this long. Shorter than the time after which proxies close it. */
export const CHANGE_HEARTBEAT_MS = 15_000
/** How often partitions of the log are made and dropped. */
export const CHANGE_UPKEEP_MS = 600_000
/** Making or dropping a partition waits this long for a lock, and keeps writes waiting meanwhile. */
export const CHANGE_UPKEEP_LOCK_TIMEOUT_MS = 200

// --- Webhooks ---

/** The maximum number of webhooks. Each one has at most one delivery in flight. */
export const MAX_WEBHOOKS = 50
/** The time for a delivery, from the lookup of its host to the end of the answer. */
export const WEBHOOK_TIMEOUT_MS = 15_000
/**
 * An instance that has not written to the row of its webhook for this long has lost it. It writes before each delivery, so
 * another instance begins after its last delivery has ended.
 */
export const WEBHOOK_LEASE_MS = 30_000
/** How often an instance renews the lease of a webhook without changes. */
export const WEBHOOK_HOLD_MS = 10_000
/** How often an instance looks for webhooks that nobody holds. */
export const WEBHOOK_POLL_MS = 1_000
/** After a delivery, and after changes of other segments, more changes are gathered for this long. */
export const WEBHOOK_GATHER_MS = 200
/** The maximum number of changes in a delivery. */
export const MAX_WEBHOOK_CHANGES = 500
/** The maximum size of a delivery, unless a single change is larger. */
export const MAX_WEBHOOK_BYTES = 262_144
/** What is read of a receiver's answer. */
export const MAX_WEBHOOK_ANSWER_BYTES = 16_384
/** Reads of the change feed for webhooks that run at once. They leave connections for other readers of the feed. */
export const MAX_WEBHOOK_READS = 2
/** The largest share of the time that such a read may take. The rest is left to requests. */
export const WEBHOOK_READ_SHARE = 0.2
/** Lookups of the hosts of receivers that run at once. */
export const MAX_WEBHOOK_LOOKUPS = 2
/** The longest random pause after the first failed delivery. It doubles with each further failure. */
export const WEBHOOK_FIRST_PAUSE_MS = 5_000
/** The upper limit of that pause. */
export const WEBHOOK_LONGEST_PAUSE_MS = 3_600_000
/** The upper limit of a pause that the receiver asks for by `Retry-After`. */
export const WEBHOOK_LONGEST_RETRY_AFTER_MS = 86_400_000
/** A webhook whose deliveries have failed for this long is paused. */
export const WEBHOOK_RETRY_MS = 3 * 86_400_000

// --- Reports ---

/** Worker threads of an instance, and so concurrent reports. Each one has a connection. */
export const MAX_REPORT_THREADS = 2
/** The thread of a report that takes longer is ended: it has lost its connection to the database without notice. */
export const REPORT_TIMEOUT_MS = 1_800_000
/** The maximum number of unfinished reports of an API key, on all instances. */
export const MAX_UNFINISHED_REPORTS_OF_KEY = 100
/** The maximum number of unfinished reports of all instances. */
export const MAX_UNFINISHED_REPORTS = 1_000
/** The maximum size of the finished reports of an API key together: 4 GiB, which is 70 million rows. */
export const MAX_REPORT_BYTES_OF_KEY = 2 ** 32
/** How often an instance looks for reports that were ordered from another instance. */
export const REPORT_POLL_MS = 1_000
/** How often expired reports are removed. */
export const REPORT_SWEEP_MS = 60_000
/** A file that belongs to no report is removed once it is older than this. */
export const LEFTOVER_AGE_MS = 600_000

/**
 * The time for an object storage to begin an answer; then the request is sent again. Together, the attempts end before the
 * deadline of a request.
 */
export const STORAGE_ATTEMPT_TIMEOUT_MS = 3_000
/** The time for all attempts of such a request. */
export const STORAGE_TIMEOUT_MS = 8_000
/** The time to send a part of a report, 5 MiB, or for the storage to join the parts; then it is tried again. */
export const PART_ATTEMPT_TIMEOUT_MS = 30_000
/** The time for all attempts of such a request. */
export const PART_TIMEOUT_MS = 120_000
/** Seconds in which a client must begin a download from the object storage. */
export const REPORT_REDIRECT_SECONDS = 60

// --- Shutdown ---

/** The time to send the answers to requests that were aborted. */
export const LAST_ANSWERS_TIMEOUT_MS = 1_000
/** The time in which the reader of stdout must take the last lines of the log. */
export const LOG_FLUSH_TIMEOUT_MS = 2_000
/** The time to send the last spans. Without this limit, an unreachable collector takes ten seconds. */
export const TRACING_CLOSE_TIMEOUT_MS = 3_000
/** The time for statements and transactions in progress to end when the pools are closed. */
export const POOL_CLOSE_TIMEOUT_SECONDS = 5
/** The time for requests in flight and reports in progress to end. */
export const DRAIN_TIMEOUT_MS = 20_000
/** The process ends this long after SHUTDOWN_DELAY at the latest: before the 30 s that orchestrators wait. */
export const SHUTDOWN_TIMEOUT_MS = 28_000

// --- The log ---

/** Log chunks that may wait for the reader of stdout: 16 MB, three seconds of 20,000 requests a second. */
export const MAX_LOG_CHUNKS = 256
/** A fault that affects many requests is logged once in this time. */
export const FAULT_LOG_INTERVAL_MS = 10_000
