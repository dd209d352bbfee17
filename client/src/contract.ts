/** Generated from openapi.json by `npm run openapi`. Do not edit. */
export interface paths {
    "/api/v1/segment": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Create a segment
         * @description With `selection`, that share of the known users, sampled at random, is in the segment before the answer. The segment and its members appear together or not at all. A slug is never reused, not even after its segment is deleted.
         *
         *     With the header `Prefer: respond-async` the service answers at once, samples among the users who are known now, and adds them in the background. Users whom another request adds or removes meanwhile stay as that request left them.
         *
         *     With `from`, the share is one of the users who are, or were at a moment, in these segments.
         *
         *     With `enroll_new_users`, each user who is first seen later joins with the probability `selection`.
         *
         *     In an exclusive `group`, the share of all known users is sampled from those who are in no segment of the group. One draw enrolls a new user into at most one of its segments. With `Prefer: respond-async`, all users are added at one moment.
         *
         *     Needs a key with the role `admin`.
         */
        post: operations["createSegment"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List segments
         * @description Segments ordered by slug, with their numbers of members, one page at a time. A page is shorter than `limit` if counting the members takes longer than three seconds.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["listSegments"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segments/user/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a user's active segments
         * @description The state now: a read sees every write that was answered before the read began. With `at`, the state at an earlier moment.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getUserSegments"];
        put?: never;
        /**
         * Change a user's segments
         * @description Adds the user to segments and removes the user from others, all or nothing. The first such call makes the user known. Two calls for one user take effect one after the other.
         *
         *     With `expires_at` or `ttl_seconds` the memberships in `segments_to_add` expire at exactly that moment. An element of `segments_to_add` may be an object with an expiry of its own. For a segment the user is already in, the expiry is set again, which the history records: without an expiry, the membership becomes permanent.
         *
         *     A user is in at most one segment of an exclusive group. To add the user to another one of the group, delete the first one in the same request, or send `move`.
         *
         *     Needs a key with the role `editor` or `admin`.
         */
        post: operations["changeUserSegments"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segments/users/query": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Get the active segments of many users
         * @description For 1 to 1,000 users, all at one moment. A user who appears more than once in the request appears once in the answer.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        post: operations["getSegmentsOfUsers"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segments/user/{user_id}/history": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a user's history
         * @description The additions and removals of the user, and the changes of an expiry, oldest first, each with its cause and its actor, one page at a time. New entries come at the end; older ones never change. The interval includes `from` and excludes `to`.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getUserHistory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segments/user/{user_id}/memberships": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a user's memberships
         * @description The segments the user is in, since when, until when and why. With `at`, what was recorded at that moment.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getUserMemberships"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segment/{slug}/users/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get whether a user is in a segment
         * @description And since when, until when and why. A deleted segment has no members.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getSegmentUser"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make many users known
         * @description The upload is CSV, newline-delimited JSON or a JSON array, also as a form or compressed with gzip. It takes effect as a whole, at one moment, once all of it has arrived. The answer accounts for every line.
         *
         *     Users who are seen for the first time are sampled for the segments that enroll new users.
         *
         *     Needs a key with the role `editor` or `admin`.
         */
        post: operations["addUsers"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segment/{slug}/users.csv": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Download the users of a segment
         * @description All users in the segment at one moment, now or `at`, whatever changes during the download. The answer is complete only if its chunked body ends properly: otherwise HTTP clients report an error. It is aborted if the database fails, if the client reads nothing for a minute, and after ten minutes. An instance sends at most four at once, and answers `OVERLOADED` to others.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["downloadSegmentUsers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segment/{slug}/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the users of a segment
         * @description The users in the segment now, ordered by id, one page at a time. Each page shows its own moment: users who join meanwhile are listed if their ids come after the cursor, and nobody is listed twice. With `at`, the users who were in the segment at that moment, even if it has been deleted since.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["listSegmentUsers"];
        /**
         * Replace the users of a segment
         * @description The upload is CSV, newline-delimited JSON or a JSON array, also as a form or compressed with gzip. It takes effect as a whole, at one moment, once all of it has arrived. The answer accounts for every line.
         *
         *     The users of the upload are the members of the segment from one moment on. Who is missing leaves, as if removed by name; who is new joins; who stays keeps the membership, with its expiry unless the upload gives another one. A user whose line is rejected is missing. `max_removed` protects from a file that is cut off.
         *
         *     Needs a key with the role `editor` or `admin`.
         */
        put: operations["replaceSegmentUsers"];
        /**
         * Add many users to a segment
         * @description The upload is CSV, newline-delimited JSON or a JSON array, also as a form or compressed with gzip. It takes effect as a whole, at one moment, once all of it has arrived. The answer accounts for every line.
         *
         *     Users who are already in the segment stay as before, except that an `expires_at` in the upload is set again. Users who are seen for the first time become known, and are sampled for the segments that enroll new users.
         *
         *     If the segment is in an exclusive group, lines whose user is in another segment of it are rejected.
         *
         *     Needs a key with the role `editor` or `admin`.
         */
        post: operations["addSegmentUsers"];
        /**
         * Remove many users from a segment
         * @description The upload is CSV, newline-delimited JSON or a JSON array, also as a form or compressed with gzip. It takes effect as a whole, at one moment, once all of it has arrived. The answer accounts for every line.
         *
         *     Users who are not in the segment are no error. Unknown users stay unknown.
         *
         *     Needs a key with the role `editor` or `admin`.
         */
        delete: operations["removeSegmentUsers"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segment/{slug}/sizes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the sizes of a segment over time
         * @description How many users were in the segment at each moment from `from` to `to`, exactly. Also of a deleted segment. Ten million periods take about two seconds. At most 2000 moments.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getSegmentSizes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segment/{slug}/history": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a segment's history
         * @description Who created, changed, filled and deleted the segment, and when, oldest first, one page at a time.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getSegmentHistory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segments/count": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Count users by their segments
         * @description The number of users of whom a segment that is created with the same `from` samples its share. Nothing changes.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        post: operations["countComposedUsers"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segment/{slug}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a segment
         * @description Its properties, its number of members, and the progress of adding them. It may be deleted.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getSegment"];
        put?: never;
        post?: never;
        /**
         * Delete a segment
         * @description Every membership in it ends at the time of the deletion. Its history stays.
         *
         *     Needs a key with the role `admin`.
         */
        delete: operations["deleteSegment"];
        options?: never;
        head?: never;
        /**
         * Change a segment
         * @description With `selection` the share of the users changes at once, all or nothing: afterwards there are exactly ceil(selection × number of known users) sampled members. If there are too few, users who are not in the segment are sampled and join; explicitly removed users are never sampled again. If there are too many, sampled members leave at random. Explicitly added members stay and do not count. Nobody leaves when the share is raised. Other changes of the users of this segment wait meanwhile.
         *
         *     With `group` the segment enters an exclusive group, if no user would be in two of its segments, or leaves its group. In a group, users are sampled who are in none of its segments.
         *
         *     Needs a key with the role `admin`.
         */
        patch: operations["changeSegment"];
        trace?: never;
    };
    "/api/v1/groups": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List exclusive groups
         * @description Groups that are not deleted, ordered by slug, with their segments, one page at a time.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["listGroups"];
        put?: never;
        /**
         * Create an exclusive group
         * @description A user is in at most one segment of the group at any moment. Segments are created in it, or enter it, with `group`. No slug names both a group and a segment, and none is ever reused.
         *
         *     Needs a key with the role `admin`.
         */
        post: operations["createGroup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{slug}/overlap": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Count the users that segments share
         * @description For each two segments the users who are in both, exactly and all at one moment. For the segments of a group it is 0 each time. With `segments` any segments are compared, such as those of two experiments.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getOverlaps"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/groups/{slug}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get an exclusive group
         * @description Its segments, their shares and numbers of members, and the number of users who are free, all at one moment. It may be deleted.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getGroup"];
        put?: never;
        post?: never;
        /**
         * Delete an exclusive group
         * @description Its segments and their members stay. From then on, a user may be in several of them.
         *
         *     Needs a key with the role `admin`.
         */
        delete: operations["deleteGroup"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/changes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the change feed
         * @description What has changed since a cursor: each change once, changes of one user in the order in which they took effect. Read again with the `cursor` of the answer, which is there even without changes. Nothing is sent when a membership expires: `expires_at` has announced it.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["listChanges"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/changes/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow the change feed
         * @description The same changes as server-sent events: the `id` is the cursor, the event is the type of the change. A client that connects again sends the last `id` as `Last-Event-ID`, as browsers do, and misses nothing. Without it and without `after`, the stream begins with the next change. Every 15 seconds without changes a heartbeat is sent. A client that reads nothing for a minute is disconnected. An instance sends at most 64 streams.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["streamChanges"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List webhooks
         * @description All webhooks, the oldest first, with their state, their lag and their last error.
         *
         *     Needs a key with the role `admin`.
         */
        get: operations["listWebhooks"];
        put?: never;
        /**
         * Create a webhook
         * @description Changes that are committed from now on are delivered to its URL, in their order: a POST with the JSON that `GET /changes` answers. Deliveries are signed as in Standard Webhooks. One that is not answered 2xx within 15 seconds is repeated for three days. There may be 50 webhooks.
         *
         *     Needs a key with the role `admin`.
         */
        post: operations["createWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a webhook
         * @description Its state, its lag and its last error.
         *
         *     Needs a key with the role `admin`.
         */
        get: operations["getWebhook"];
        put?: never;
        post?: never;
        /**
         * Delete a webhook
         * @description A delivery that is in flight is finished, and is the last one. The secret is deleted.
         *
         *     Needs a key with the role `admin`.
         */
        delete: operations["deleteWebhook"];
        options?: never;
        head?: never;
        /**
         * Pause a webhook, or resume it
         * @description A webhook that is paused, by a request or after three days of failures, delivers nothing; a delivery that is in flight is finished. Once it is active, delivery continues where it ended, at once. With `after`, it continues after another cursor: an earlier one repeats changes.
         *
         *     Needs a key with the role `admin`.
         */
        patch: operations["changeWebhook"];
        trace?: never;
    };
    "/ofrep/v1/evaluate/flags/{slug}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Evaluate one flag
         * @description Whether the user of `targetingKey` is in the segment now, or in which segment of the exclusive group. A read sees every write that was answered before it began. For server-side providers of OpenFeature.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        post: operations["evaluateFlag"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ofrep/v1/evaluate/flags": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Evaluate all flags
         * @description For each segment that is not deleted, whether the user of `targetingKey` is in it now, and for each exclusive group, in which of its segments. With `If-None-Match`, only if that has changed. For client-side providers of OpenFeature. At most 20000 segments and groups.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        post: operations["evaluateFlags"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segments/user/{user_id}/csv": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Order a report of a user's history
         * @description The report covers whole days in UTC: `from` is inclusive, `to` exclusive. It is made in the background: fetch it by the link in the answer. A finished report of a past interval is not made again. A report that includes today is made again for each order; orders that come while it is being made share the next one. A finished file stays until the next one is ready.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["orderUserReport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segments/user/history/{filename}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the progress of a report of a user
         * @description A report that cannot be made is tried five times, with growing pauses. `as_of` is that of the link.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getUserReportStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/segments/user/history/{filename}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Download a report of a user
         * @description The file that an order linked to, once it is ready. A link with a signature needs no key. The answer is compressed with gzip if the client accepts it and asks for no range. It is aborted if the client reads nothing for a minute.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["downloadUserReport"];
        put?: never;
        post?: never;
        /**
         * Cancel the order of a report of a user
         * @description Cancels the order of the link, and removes the report, even a finished one. If other keys have ordered the same report, it stays for them. `as_of` is that of the link.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        delete: operations["cancelUserReport"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reports": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Order a report of the history of all users
         * @description Of all segments, or of one, which may be deleted. Otherwise it is as the report of a user: whole days in UTC, `from` inclusive, `to` exclusive. It is made in the background: fetch it by the link in the answer. A finished report of a past interval is not made again. A report that includes today is made again for each order; orders that come while it is being made share the next one. A finished file stays until the next one is ready.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        post: operations["orderReport"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reports/{filename}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the progress of a report
         * @description A report that cannot be made is tried five times, with growing pauses. `as_of` is that of the link.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getReportStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reports/{filename}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Download a report
         * @description The file that an order linked to, once it is ready. A link with a signature needs no key. The answer is compressed with gzip if the client accepts it and asks for no range. It is aborted if the client reads nothing for a minute.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["downloadReport"];
        put?: never;
        post?: never;
        /**
         * Cancel the order of a report
         * @description Cancels the order of the link, and removes the report, even a finished one. If other keys have ordered the same report, it stays for them. `as_of` is that of the link.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        delete: operations["cancelReport"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/count": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Count the known users
         * @description The users of whom a share is drawn.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["countUsers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Erase a user
         * @description Removes everything that names the user: memberships, history and reports, whose links then answer 404. This cannot be undone. A later change or upload that names the id makes the user known again.
         *
         *     Needs a key with the role `admin`.
         */
        delete: operations["eraseUser"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/key": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the name and the role of the key of this request
         * @description A client learns from it what it may do. It also answers without the database.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getKey"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the state of the service at a glance
         * @description Versions, instances, the database, and work in progress. It takes milliseconds, however many users there are.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getSystem"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check that the process runs
         * @description It checks nothing else: a process without its database is live.
         */
        get: operations["getLiveness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check that the service can answer requests
         * @description It can if the database answers and accepts writes, its schema is current, and the service is not shutting down.
         */
        get: operations["getReadiness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get metrics for Prometheus
         * @description What this process has measured since its start, and the queues in the database, which are the same on every instance. It also answers without the database.
         *
         *     Needs a key with the role `reader` or `editor` or `admin`.
         */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get this document
         * @description The OpenAPI document of the service, generated from the schemas that validate its requests.
         */
        get: operations["getOpenApiDocument"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface webhooks {
    changes: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Changes, delivered to a webhook
         * @description Batches come in order, each at least once. The next one comes after this one has been answered 2xx. 410 pauses the webhook. After any other answer, or none within 15 seconds, the same batch is sent again later.
         */
        post: operations["deliverChanges"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface components {
    schemas: {
        /** @description The slugs of the segments the user is in, in the order the segments were created. */
        ActiveSegments: string[];
        /** @description The outcome of each line: lines = added + already_members + rejected.count. */
        AddedMembers: {
            /** @description Lines of the upload without the header and blank lines. */
            lines: number;
            /** @description Users who were added to the segment. */
            added: number;
            /** @description Lines whose user was already in the segment, possibly by an earlier line. */
            already_members: number;
            /** @description Users the service had never seen. */
            new_users: number;
            rejected: components["schemas"]["RejectedLines"];
        };
        AddressRateLimitedError: {
            message: string;
            /** @enum {string} */
            code: "RATE_LIMITED";
        };
        /** @description The progress of adding the share of the users that was last asked for. A changed share takes effect at once, so its status is `done`. */
        Assignment: {
            /**
             * @description `queued` until the users have been sampled; `running` until all have been added; `cancelled` if the segment was deleted before that; `failed` if adding them failed five times in a row (the log says why).
             * @enum {string}
             */
            status: "queued" | "running" | "done" | "cancelled" | "failed";
            /** @description Sampled users who have been dealt with. Fewer than `target` if too few users could be sampled. */
            assigned: number;
            /** @description Sampled users: ceil(selection × number of users). Null while `queued`, unless the segment is in a group: then as many users are reserved. */
            target: number | null;
        };
        BodyTooLargeError: {
            message: string;
            /** @enum {string} */
            code: "BODY_TOO_LARGE";
        };
        /** @description All segments that are not deleted, in the order they were created. Then all such groups. */
        BulkEvaluation: {
            flags: components["schemas"]["Evaluation"][];
        };
        /** @description A change of a membership or of a segment. */
        Change: {
            /** @description Pass it as `after`. Its form is not part of the contract. */
            cursor: string;
            /**
             * @description `segment_deleted` ends every membership in the segment, and `user_erased` every one of the user.
             * @enum {string}
             */
            type: "membership_added" | "membership_removed" | "expiry_set" | "segment_created" | "segment_changed" | "segment_deleted" | "user_erased";
            /** @description Null if the segment changed. */
            user_id: string | null;
            /** @description Null if the user was erased. */
            slug: string | null;
            /**
             * Format: date-time
             * @description When it took effect.
             */
            time: string;
            /**
             * @description Why the membership changed. Null for changes of segments and erasures.
             * @enum {string|null}
             */
            cause: "request" | "selection" | "enrollment" | "import" | "selection_lowered" | null;
            /** @description The name of the API key. Null if no key was needed. */
            actor: string | null;
            /**
             * Format: date-time
             * @description When the membership expires, for `membership_added` and `expiry_set`. No change is sent then. Null if it does not expire.
             */
            expires_at: string | null;
            /** @description For `segment_created` and `segment_changed`: the properties that changed. */
            changes: components["schemas"]["SegmentPropertiesChange"] | null;
        };
        /** @description What to change. What is absent stays. */
        ChangeSegment: {
            /**
             * @description The new share of the known users, from 0 to 1: afterwards there are exactly ceil(selection × number of users) sampled members. After `from`: of its users.
             * @example 0.3
             */
            selection?: number | null;
            /**
             * @description What the segment is for, in one line for people. Null removes it.
             * @example Half price on messages by voice
             */
            description?: string | null;
            /** @description Whether users who are first seen later are sampled too, by `selection`. */
            enroll_new_users?: boolean | null;
            /**
             * @description The exclusive group that the segment enters, if no user would be in two of its segments. Null: it leaves its group.
             * @example CHECKOUT_TEST
             */
            group?: string | null;
            /** @description Whether nobody is added to the segment by name, only by `selection` and `enroll_new_users`. Only in a group. */
            holdout?: boolean | null;
        };
        /**
         * @description Events with `id`, `event` and `data`, which is a Change as JSON. Heartbeats have only an `id`.
         * @example id: WzEsWzc0OSwxLCIyMDI2LTExLTIzIiwxNzk1NDI0NDYwMTIzNDU2LDEsW11dXQ
         *     event: membership_added
         *     data: {"cursor":"WzEsWzc0OSwxLCIyMDI2LTExLTIzIiwxNzk1NDI0NDYwMTIzNDU2LDEsW11dXQ","type":"membership_added","user_id":"10","slug":"AVITO_VOICE_MESSAGES","time":"2026-11-23T08:51:00.123456Z","cause":"request","actor":"marketing","expires_at":null,"changes":null}
         */
        ChangeStream: string;
        /** @description Segments to add and to delete. No slug may appear more than once. */
        ChangeUserSegments: {
            /** @description Segments to add the user to. The expiry of a segment the user is already in is set again. */
            segments_to_add?: components["schemas"]["SegmentToAdd"][] | null;
            /** @description Segments to remove the user from. One the user is not in is no error. */
            segments_to_delete?: components["schemas"]["Slug"][] | null;
            /** @description Whether the user leaves other segments of the exclusive groups of `segments_to_add`, at the same moment. Without it, such a request is refused. */
            move?: boolean | null;
            /**
             * Format: date-time
             * @description When the memberships in `segments_to_add` expire. Without it and without `ttl_seconds` they are permanent.
             * @example 2100-01-01T00:00:00Z
             */
            expires_at?: string | null;
            /**
             * @description The same as `expires_at`, in seconds from now, up to ten years of 365 days. Only one of the two may be given.
             * @example 86400
             */
            ttl_seconds?: number | null;
        };
        /** @description What to change. */
        ChangeWebhook: {
            /**
             * @description Whether changes are delivered.
             * @enum {string}
             */
            state: "active" | "paused";
            /** @description With the state `active`: continue after this cursor of the change feed. `now` leaves out what has not been delivered. By default, delivery continues where it ended. */
            after?: string | null;
        };
        /** @description Changes, and the cursor after them. */
        Changes: {
            changes: components["schemas"]["Change"][];
            /** @description Pass it as `after`. Its form is not part of the contract. */
            cursor: string;
        };
        /**
         * @description Users by their segments. It names 1 to 100 segments, each once.
         * @example {
         *       "all": [
         *         "AVITO_VOICE_MESSAGES"
         *       ]
         *     }
         */
        Composition: {
            /** @description The users who are in all of these segments, */
            all?: components["schemas"]["Slug"][] | null;
            /** @description and in at least one of these, */
            any?: components["schemas"]["Slug"][] | null;
            /** @description and in none of these. With `none` alone: all known users except these. */
            none?: components["schemas"]["Slug"][] | null;
            /**
             * Format: date-time
             * @description The moment meant, by default now, not in the future. A segment may be named that was deleted later.
             * @example 2023-08-01T00:00:00Z
             */
            at?: string | null;
        };
        /** @description The users to count. */
        CountComposed: {
            from: components["schemas"]["Composition"];
        };
        /** @description The exclusive group to create. */
        CreateGroup: {
            slug: components["schemas"]["GroupSlug"];
            /**
             * @description What the segment is for, in one line for people.
             * @example Half price on messages by voice
             */
            description?: string | null;
        };
        /** @description The segment to create. */
        CreateSegment: {
            slug: components["schemas"]["Slug"];
            /**
             * @description The share of the known users, from 0 to 1, to add to the segment: exactly ceil(selection × number of users) of them, chosen at random. With `from`: of its users, by default 1.
             * @example 0.2
             */
            selection?: number | null;
            /**
             * @description Users by their segments. It names 1 to 100 segments, each once.
             * @example {
             *       "all": [
             *         "AVITO_VOICE_MESSAGES"
             *       ]
             *     }
             */
            from?: {
                /** @description The users who are in all of these segments, */
                all?: components["schemas"]["Slug"][] | null;
                /** @description and in at least one of these, */
                any?: components["schemas"]["Slug"][] | null;
                /** @description and in none of these. With `none` alone: all known users except these. */
                none?: components["schemas"]["Slug"][] | null;
                /**
                 * Format: date-time
                 * @description The moment meant, by default now, not in the future. A segment may be named that was deleted later.
                 * @example 2023-08-01T00:00:00Z
                 */
                at?: string | null;
            } | null;
            /**
             * @description What the segment is for, in one line for people.
             * @example Half price on messages by voice
             */
            description?: string | null;
            /** @description Whether users who are first seen later are sampled too: each joins with the probability `selection`, drawn once. Not with `from`. */
            enroll_new_users?: boolean | null;
            /** @description The slug of an exclusive group to create the segment in. The share is sampled from users who are in no segment of the group. */
            group?: string | null;
            /** @description Whether nobody is added to the segment by name, only by `selection` and `enroll_new_users`. Only in a group. */
            holdout?: boolean | null;
        };
        /** @description The webhook to create. */
        CreateWebhook: {
            /** @description Where to deliver: an http or https URL, without a user name or a password. Addresses of private networks are refused unless the service is configured otherwise. */
            url: string;
            /** @description Only changes of these segments and their memberships, and erasures of users. By default, those of all segments. */
            segments?: components["schemas"]["Slug"][] | null;
            /** @description The secret that signs the deliveries: `whsec_` and 24 to 64 random bytes in base64. By default, one is made. */
            secret?: string | null;
        };
        /** @description The webhook, and its secret if one was made. */
        CreatedWebhook: components["schemas"]["Webhook"] & {
            /** @description The secret that was made. It is not shown again. Null if the request had one. */
            secret: string | null;
        };
        CrossSiteOrderError: {
            message: string;
            /** @enum {string} */
            code: "CROSS_SITE_ORDER";
        };
        CursorExpiredError: {
            message: string;
            /** @enum {string} */
            code: "CURSOR_EXPIRED";
        };
        /** @description The value of a flag for the user. */
        Evaluation: {
            /** @description The slug of the segment or of the group. */
            key: string;
            /** @description Of a segment: whether the user is in it. Of a group: the slug of its segment with the user, or an empty string. An unknown user is in none. */
            value: boolean | string;
            /**
             * @description The value depends on the user.
             * @enum {string}
             */
            reason: "TARGETING_MATCH";
            /** @description Of a segment: `on` or `off`. Of a group: the slug of its segment with the user; absent if there is none. */
            variant?: string;
            /** @description Empty, and absent if all flags were asked for. Some clients fail without it. */
            metadata?: Record<string, never>;
        };
        /** @description Whom the flag is evaluated for. Other attributes make no difference. */
        EvaluationContext: {
            /**
             * Format: user-id
             * @description The id of the user, as a string.
             * @example 10
             */
            targetingKey: string;
        } & {
            [key: string]: unknown;
        };
        EvaluationError: {
            message: string;
            /** @enum {string} */
            code: "INVALID_REQUEST" | "INVALID_JSON" | "INVALID_UTF8" | "TOO_MANY_FLAGS";
            /** @description The flag that was asked for. */
            key?: string;
            /** @description Empty. Some clients fail without it. */
            metadata?: Record<string, never>;
            /**
             * @description The error code of OpenFeature.
             * @enum {string}
             */
            errorCode: "TARGETING_KEY_MISSING" | "INVALID_CONTEXT" | "PARSE_ERROR" | "GENERAL";
            /** @description The same as `message`. */
            errorDetails: string;
        };
        EvaluationInternalError: {
            message: string;
            /** @enum {string} */
            code: "INTERNAL_ERROR";
            /** @description The same as `message`. */
            errorDetails: string;
        };
        /** @description What an evaluation depends on. */
        EvaluationRequest: {
            context: components["schemas"]["EvaluationContext"];
        };
        /**
         * @description A segment to add. Its `expires_at` or `ttl_seconds` takes precedence over that of the request; with neither, that of the request applies.
         * @example {
         *       "slug": "PROMO_5",
         *       "ttl_seconds": 86400
         *     }
         */
        ExpiringSegment: {
            slug: components["schemas"]["Slug"];
            /**
             * Format: date-time
             * @description When this membership expires.
             * @example 2100-01-01T00:00:00Z
             */
            expires_at?: string | null;
            /**
             * @description The same as `expires_at`, in seconds from now.
             * @example 86400
             */
            ttl_seconds?: number | null;
        };
        FlagNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "SEGMENT_NOT_FOUND";
            /** @description The flag that was asked for. */
            key: string;
            /** @description Empty. Some clients fail without it. */
            metadata: Record<string, never>;
            /**
             * @description The error code of OpenFeature.
             * @enum {string}
             */
            errorCode: "FLAG_NOT_FOUND";
            /** @description The same as `message`. */
            errorDetails: string;
        };
        ForbiddenError: {
            message: string;
            /** @enum {string} */
            code: "FORBIDDEN";
        };
        /** @description An exclusive group: a user is in at most one of its segments at any moment. */
        Group: {
            slug: components["schemas"]["GroupSlug"];
            /** @description What the group is for. */
            description: string | null;
            /** Format: date-time */
            created_at: string;
            /** @description The name of the API key. Null if no key was needed. */
            created_by: string | null;
            /** @description The slugs of its segments that are not deleted, in the order they were created. */
            segments: string[];
        };
        GroupAlreadyExistsError: {
            message: string;
            /** @enum {string} */
            code: "GROUP_ALREADY_EXISTS" | "SEGMENT_ALREADY_EXISTS" | "IDEMPOTENCY_KEY_IN_USE";
            /**
             * Format: date-time
             * @description When what has this slug was deleted. Absent if it is not deleted.
             */
            deleted_at?: string;
        };
        GroupNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "GROUP_NOT_FOUND";
        };
        GroupOrSegmentsNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "GROUP_NOT_FOUND" | "SEGMENTS_NOT_FOUND";
            /** @description The slugs that name no segment, or a deleted one. Absent if the group is missing. */
            segments?: string[];
        };
        /** @description Groups that are not deleted, ordered by slug. */
        GroupPage: {
            groups: components["schemas"]["Group"][];
            /** @description Pass it as `cursor` for the next page. Null on the last page. */
            next_cursor: string | null;
        };
        /** @description An exclusive group and its segments, all at one moment. */
        GroupReport: {
            slug: components["schemas"]["GroupSlug"];
            /** @description What the group is for. */
            description: string | null;
            /** Format: date-time */
            created_at: string;
            /** @description The name of the API key. Null if no key was needed. */
            created_by: string | null;
            /**
             * Format: date-time
             * @description Null unless the group is deleted.
             */
            deleted_at: string | null;
            /** @description The name of the API key that deleted it. */
            deleted_by: string | null;
            /** @description The number of known users. */
            users: number;
            /** @description The number of users who are in one of the segments. */
            members: number;
            /** @description The number of users who are in none of the segments, and not reserved for one that is to be filled in the background. */
            free_users: number;
            /** @description Its segments that are not deleted, in the order they were created. */
            segments: components["schemas"]["GroupSegment"][];
        };
        /** @description A segment of the group. */
        GroupSegment: {
            slug: components["schemas"]["Slug"];
            /** @description The share of the users that was asked for. Null if none was. */
            selection: number | null;
            /** @description Whether new users join with the probability `selection`. */
            enroll_new_users: boolean;
            /** @description Whether nobody is added by name. */
            holdout: boolean;
            /** @description The number of users in the segment. */
            members: number;
            /** @description The progress of adding the share. Null if no `selection` was ever asked for. */
            assignment: components["schemas"]["Assignment"] | null;
        };
        /**
         * @description The slug of an exclusive group. A user is in at most one segment of a group at any moment.
         * @example CHECKOUT_TEST
         */
        GroupSlug: string;
        HostNotAllowedError: {
            message: string;
            /** @enum {string} */
            code: "HOST_NOT_ALLOWED";
        };
        IdempotencyKeyInUseError: {
            message: string;
            /** @enum {string} */
            code: "IDEMPOTENCY_KEY_IN_USE";
        };
        IdempotencyKeyReusedError: {
            message: string;
            /** @enum {string} */
            code: "IDEMPOTENCY_KEY_REUSED";
        };
        InternalError: {
            message: string;
            /** @enum {string} */
            code: "INTERNAL_ERROR";
        };
        InvalidBodyError: {
            message: string;
            /** @enum {string} */
            code: "INVALID_REQUEST" | "INVALID_JSON" | "INVALID_UTF8";
        };
        InvalidChangeError: {
            message: string;
            /** @enum {string} */
            code: "INVALID_REQUEST" | "DUPLICATE_SLUG" | "EXPIRY_PASSED" | "INVALID_JSON" | "INVALID_UTF8";
        };
        InvalidChangesRequestError: {
            message: string;
            /** @enum {string} */
            code: "INVALID_REQUEST" | "INVALID_CURSOR";
        };
        InvalidComparisonError: {
            message: string;
            /** @enum {string} */
            code: "INVALID_REQUEST" | "DUPLICATE_SLUG";
        };
        InvalidPageError: {
            message: string;
            /** @enum {string} */
            code: "INVALID_REQUEST" | "INVALID_CURSOR";
        };
        InvalidRequestError: {
            message: string;
            /** @enum {string} */
            code: "INVALID_REQUEST";
        };
        InvalidSlugsError: {
            message: string;
            /** @enum {string} */
            code: "INVALID_REQUEST" | "DUPLICATE_SLUG" | "INVALID_JSON" | "INVALID_UTF8";
        };
        /** @description A failed request. With the code `LINES_REJECTED` it also accounts for each line, as if the rejected ones had been skipped. */
        InvalidUploadError: {
            message: string;
            /** @enum {string} */
            code: "LINES_REJECTED" | "INVALID_REQUEST" | "INVALID_JSON" | "INVALID_UTF8";
            /** @description Lines of the upload without the header and blank lines. */
            lines?: number;
            /** @description Users who were added to the segment. */
            added?: number;
            /** @description Lines whose user was already in the segment, possibly by an earlier line. */
            already_members?: number;
            /** @description Users the service had never seen. */
            new_users?: number;
            rejected?: components["schemas"]["RejectedLines"];
            /** @description Users who were removed from the segment. */
            removed?: number;
            /** @description Lines whose user was not in the segment, possibly because of an earlier line. */
            not_members?: number;
            /** @description Lines whose user was already known, possibly by an earlier line. */
            already_known?: number;
        };
        InvalidWebhookChangeError: {
            message: string;
            /** @enum {string} */
            code: "INVALID_REQUEST" | "INVALID_JSON" | "INVALID_UTF8" | "INVALID_CURSOR";
        };
        InvalidWebhookError: {
            message: string;
            /** @enum {string} */
            code: "INVALID_REQUEST" | "INVALID_JSON" | "INVALID_UTF8" | "DUPLICATE_SLUG";
        };
        /** @description An API key. */
        Key: {
            /** @description Null if the service runs without keys. */
            name: string | null;
            /**
             * @description What the key may do. `admin` if the service runs without keys.
             * @enum {string}
             */
            role: "reader" | "editor" | "admin";
        };
        /** @description The outcome of each line: lines = new_users + already_known + rejected.count. */
        KnownUsers: {
            /** @description Lines of the upload without the header and blank lines. */
            lines: number;
            /** @description Users the service had never seen. */
            new_users: number;
            /** @description Lines whose user was already known, possibly by an earlier line. */
            already_known: number;
            rejected: components["schemas"]["RejectedLines"];
        };
        /** @description The process runs. */
        Liveness: {
            /** @enum {string} */
            status: "live";
        };
        /** @description A user in the segment. */
        Member: {
            user_id: string;
            /** Format: date-time */
            added_at: string;
            /**
             * Format: date-time
             * @description When the membership expires. Null if it does not.
             */
            expires_at: string | null;
        };
        /** @description The users in the segment, ordered by id. None if the segment is deleted. */
        MemberPage: {
            users: components["schemas"]["Member"][];
            /** @description Pass it as `cursor` for the next page. Null on the last page. */
            next_cursor: string | null;
        };
        /**
         * @description The ids of the users, ascending, one per line, with `expires=true` each with its expiry. The header is there even if there are no users.
         * @example user_id
         *     10
         *     9223372036854775807
         */
        MembersCsv: string;
        /** @description A segment the user is in, since when, until when and why. */
        Membership: {
            slug: components["schemas"]["Slug"];
            /**
             * Format: date-time
             * @description When the membership began.
             */
            added_at: string;
            /**
             * Format: date-time
             * @description When it expires, as set at that moment. Null if it does not.
             */
            expires_at: string | null;
            /**
             * @description Why it began. `request`: a change of this user; `import`: an upload of many users; `selection`: sampled for a share of the users; `enrollment`: sampled when first seen.
             * @enum {string}
             */
            cause: "request" | "selection" | "enrollment" | "import";
            /** @description The name of the API key. Null if no key was needed. */
            actor: string | null;
        };
        /** @description Whether a user is in a segment, since when, until when and why. */
        MembershipState: {
            /** @description Whether the user is in the segment now. If not, it is the only field. */
            member: boolean;
            /**
             * Format: date-time
             * @description When the membership began.
             */
            added_at?: string;
            /**
             * Format: date-time
             * @description When it expires, as set at that moment. Null if it does not.
             */
            expires_at?: string | null;
            /**
             * @description Why it began. `request`: a change of this user; `import`: an upload of many users; `selection`: sampled for a share of the users; `enrollment`: sampled when first seen.
             * @enum {string}
             */
            cause?: "request" | "selection" | "enrollment" | "import";
            /** @description The name of the API key. Null if no key was needed. */
            actor?: string | null;
        };
        /**
         * Format: binary
         * @description One record per line: `user_id` and optionally `expires_at` (RFC 3339), separated by commas, semicolons or tabs. A first line that names these columns is a header; `id` is `user_id` too. Blank lines are ignored. Also in UTF-16. Ids are integers from 1 to 9223372036854775807, exact as numbers too, which may be written as `10.0`.
         */
        MembershipsUploadCsv: string;
        /** @description A user id as an integer or a string, or an object with `user_id` and optionally `expires_at` (RFC 3339). */
        MembershipsUploadElement: components["schemas"]["UploadedUserId"] | components["schemas"]["UploadedMembership"];
        /** @description A form of a browser with one file, and without other fields. */
        MembershipsUploadForm: {
            /**
             * Format: binary
             * @description One of the other forms: JSON by its extension (.json, .ndjson, .jsonl), otherwise CSV.
             */
            file: string;
        };
        /** @description An array of ids as integers or strings, or objects with `user_id` and optionally `expires_at` (RFC 3339). Ids are integers from 1 to 9223372036854775807, exact as numbers too, which may be written as `10.0`. */
        MembershipsUploadJson: components["schemas"]["MembershipsUploadElement"][];
        /**
         * Format: binary
         * @description Each line is JSON: ids as integers or strings, or objects with `user_id` and optionally `expires_at` (RFC 3339). Blank lines are ignored. Ids are integers from 1 to 9223372036854775807, exact as numbers too, which may be written as `10.0`.
         */
        MembershipsUploadNdjson: string;
        NotReadyError: {
            message: string;
            /** @enum {string} */
            code: "OVERLOADED" | "DATABASE_UNAVAILABLE" | "LOCK_TIMEOUT" | "SCHEMA_OUTDATED" | "DEADLINE_EXCEEDED" | "SHUTTING_DOWN";
        };
        /**
         * @default fail
         * @example fail
         * @enum {string}
         */
        OnRejectedLine: "fail" | "skip";
        /** @description An OpenAPI 3.1 document. */
        OpenApiDocument: {
            [key: string]: unknown;
        };
        /** @description The interval or the month, and optionally a segment. */
        OrderReport: {
            /**
             * Format: date
             * @description The first day, in UTC. It is inclusive.
             * @example 2023-08-01
             */
            from?: string | null;
            /**
             * Format: date
             * @description The day after the last one, in UTC. It is exclusive, and tomorrow at the latest.
             * @example 2023-08-31
             */
            to?: string | null;
            /**
             * @description A month, as `YYYY-MM`, instead of `from` and `to`. The report of the current month is up to now.
             * @example 2023-08
             */
            month?: string | null;
            /**
             * @description Whether the report has three further columns: `cause`, `actor` and `expires_at`, which is the expiry that an addition was made with.
             * @default false
             * @example false
             */
            details?: boolean | null;
            /**
             * @description The segment to report on, which may be deleted. Without it, all segments.
             * @example AVITO_VOICE_MESSAGES
             */
            segment?: string | null;
        };
        /** @description The report is being made, or is ready. */
        OrderedReport: {
            /**
             * Format: uri
             * @description The URL of the report, where it can be fetched once it is ready. Use it as it is: `as_of` keeps it from serving data older than the order, and `signature` opens it without a key, as in a browser.
             */
            link: string;
        };
        /** @description A pair of segments. */
        Overlap: {
            /** @description The slugs of the two segments. */
            segments: string[];
            /** @description The number of users who are in both. */
            users: number;
        };
        /** @description A compared segment. */
        OverlapSegment: {
            slug: components["schemas"]["Slug"];
            /** @description The number of users in the segment. */
            members: number;
        };
        /** @description How many users each two segments share, all at one moment. */
        Overlaps: {
            /** @description In the order they were named, or created. */
            segments: components["schemas"]["OverlapSegment"][];
            /** @description Every pair, in the order of `segments`. */
            overlaps: components["schemas"]["Overlap"][];
            /** Format: date-time */
            as_of: string;
        };
        OverloadedError: {
            message: string;
            /** @enum {string} */
            code: "OVERLOADED" | "DEADLINE_EXCEEDED";
        };
        /**
         * @description The same error as RFC 9457 describes it, for clients that accept it and do not accept JSON.
         * @example {
         *       "type": "about:blank",
         *       "title": "Not Found",
         *       "status": 404,
         *       "detail": "user with id (10) not found",
         *       "code": "USER_NOT_FOUND"
         *     }
         */
        Problem: {
            /** @constant */
            type: "about:blank";
            /** @description The name of the status. */
            title: string;
            /** @description The status. */
            status: number;
            /** @description The message, for people. */
            detail: string;
            /** @description The code, for programs. */
            code: string;
        };
        /** @description A user id, as a string or as an integer. */
        QueriedUserId: string | number;
        /** @description The users to look up. */
        QueryUsers: {
            /** @description User ids, as strings or as integers. */
            user_ids: components["schemas"]["QueriedUserId"][];
        };
        /** @description Jobs, and the age of the oldest ones: 0 if there are none. */
        Queue: {
            queued: number;
            running: number;
            failed: number;
            oldest_queued_seconds: number;
            oldest_running_seconds: number;
        };
        RangeNotSatisfiableError: {
            message: string;
            /** @enum {string} */
            code: "RANGE_NOT_SATISFIABLE";
        };
        RateLimitedError: {
            message: string;
            /** @enum {string} */
            code: "RATE_LIMITED";
        };
        /** @description The service can answer requests. */
        Readiness: {
            /** @enum {string} */
            status: "ready";
        };
        /** @description The users of whom the share was sampled. */
        RecordedComposition: {
            all: string[];
            any: string[];
            none: string[];
            /** Format: date-time */
            at: string;
        };
        /** @description A line of the upload that was rejected. */
        RejectedLine: {
            /** @description From 1. In a JSON array: the position of the element. */
            line: number;
            /** @description What was rejected, shortened. */
            value: string;
            /** @description Why, for people. */
            reason: string;
        };
        /** @description How many lines were rejected, and the first 20 of them. */
        RejectedLines: {
            count: number;
            first: components["schemas"]["RejectedLine"][];
        };
        /** @description The outcome of each line: lines = removed + not_members + rejected.count. */
        RemovedMembers: {
            /** @description Lines of the upload without the header and blank lines. */
            lines: number;
            /** @description Users who were removed from the segment. */
            removed: number;
            /** @description Lines whose user was not in the segment, possibly because of an earlier line. */
            not_members: number;
            rejected: components["schemas"]["RejectedLines"];
        };
        /** @description The outcome of each line: lines = added + already_members + rejected.count. And how many users were removed. */
        ReplacedMembers: {
            /** @description Lines of the upload without the header and blank lines. */
            lines: number;
            /** @description Users who were added to the segment. */
            added: number;
            /** @description Lines whose user was already in the segment, possibly by an earlier line. */
            already_members: number;
            /** @description Users the service had never seen. */
            new_users: number;
            rejected: components["schemas"]["RejectedLines"];
            /** @description Users who were removed from the segment. */
            removed: number;
        };
        ReplacementConflictError: {
            message: string;
            /** @enum {string} */
            code: "TOO_MANY_REMOVED" | "SEGMENT_IS_HOLDOUT" | "SEGMENT_BEING_FILLED" | "IDEMPOTENCY_KEY_IN_USE";
            /** @description With `TOO_MANY_REMOVED`: how many users would be removed. */
            removed?: number;
        };
        /**
         * @description The history, oldest first. The header is there even if there are no rows.
         * @example user_id,segment_slug,operation,date
         *     1,SEL-AUTOS,add,2023-08-30T01:22:13.408561Z
         *     1,SEL-AUTOS,delete,2023-08-30T02:02:39.792499Z
         */
        ReportCsv: string;
        ReportExpiredError: {
            message: string;
            /** @enum {string} */
            code: "REPORT_EXPIRED";
        };
        ReportNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "REPORT_NOT_FOUND";
        };
        ReportNotOrderedError: {
            message: string;
            /** @enum {string} */
            code: "REPORT_NOT_FOUND";
        };
        ReportOrderLimitedError: {
            message: string;
            /** @enum {string} */
            code: "RATE_LIMITED" | "REPORT_QUOTA_EXCEEDED";
        };
        /** @description The progress of a report. */
        ReportStatus: {
            /**
             * @description `failed` after five attempts: order it again.
             * @enum {string}
             */
            status: "queued" | "running" | "ready" | "failed";
            /** @description Rows without the header: so far, while it is running. */
            rows: number;
            /** @description The size of the file. Null until it is ready. */
            bytes: number | null;
            /** @description The digest of the file, in hexadecimal. Null until it is ready. */
            sha256: string | null;
            /**
             * Format: date-time
             * @description When it was ordered.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When it was ready, or failed for good.
             */
            finished_at: string | null;
            /** @description Why the last attempt failed. */
            error: string | null;
            /**
             * Format: uri
             * @description The link, with a signature where keys are configured: once it is ready, it opens in a browser.
             */
            link: string;
        };
        ReportUnavailableError: {
            message: string;
            /** @enum {string} */
            code: "REPORT_PENDING" | "REPORT_FAILED" | "REPORT_NOT_FOUND";
        };
        ReportsUnavailableError: {
            message: string;
            /** @enum {string} */
            code: "TOO_MANY_REPORTS" | "STORAGE_UNAVAILABLE" | "OVERLOADED" | "DATABASE_UNAVAILABLE" | "LOCK_TIMEOUT" | "SCHEMA_OUTDATED" | "DEADLINE_EXCEEDED";
        };
        RequestTimeoutError: {
            message: string;
            /** @enum {string} */
            code: "REQUEST_TIMEOUT";
        };
        /**
         * @description A segment, its number of members, and the progress of adding its users.
         * @example {
         *       "slug": "PROMO_5",
         *       "selection": 0.2,
         *       "from": null,
         *       "description": "Five per cent off",
         *       "enroll_new_users": false,
         *       "group": null,
         *       "holdout": false,
         *       "created_at": "2026-11-23T08:51:00.123456Z",
         *       "deleted_at": null,
         *       "members": 1500,
         *       "assignment": {
         *         "status": "running",
         *         "assigned": 1500,
         *         "target": 20000
         *       }
         *     }
         */
        Segment: {
            slug: components["schemas"]["Slug"];
            /** @description The share of the users that was asked for. Null if none was. */
            selection: number | null;
            /** @description Null: the share is one of all known users. */
            from: components["schemas"]["RecordedComposition"] | null;
            /** @description What the segment is for. */
            description: string | null;
            /** @description Whether users who are first seen later are sampled too, by `selection`. */
            enroll_new_users: boolean;
            /**
             * @description The exclusive group of the segment. Null if it is in none.
             * @example CHECKOUT_TEST
             */
            group: string | null;
            /** @description Whether users join only by `selection` and `enroll_new_users`, never by name. */
            holdout: boolean;
            /** Format: date-time */
            created_at: string;
            /**
             * Format: date-time
             * @description Null unless the segment is deleted.
             */
            deleted_at: string | null;
            /** @description The number of users in the segment now. */
            members: number;
            /** @description Null if no `selection` was ever asked for. */
            assignment: components["schemas"]["Assignment"] | null;
        };
        /** @description How the members have changed. */
        SegmentChange: {
            /** @description Users who were added. */
            added: number;
            /** @description Users who were removed. */
            removed: number;
        };
        /** @description What happened to a segment. */
        SegmentEntry: {
            /**
             * @description `filled`: all users of the share have been added in the background. `replaced`: an upload has replaced the members.
             * @enum {string}
             */
            operation: "created" | "changed" | "filled" | "replaced" | "deleted";
            /**
             * Format: date-time
             * @description When it took effect.
             */
            time: string;
            /** @description The name of the API key. Null if no key was needed. */
            actor: string | null;
            changes: components["schemas"]["SegmentPropertiesChange"];
            /** @description Users whom it added to the segment. */
            added: number;
            /** @description Users whom it removed from the segment. */
            removed: number;
        };
        /** @description What happened to the segment, oldest first. */
        SegmentHistory: {
            entries: components["schemas"]["SegmentEntry"][];
            /** @description Pass it as `cursor` for the next page. Null on the last page. */
            next_cursor: string | null;
        };
        SegmentNotChangedError: {
            message: string;
            /** @enum {string} */
            code: "SEGMENT_BEING_FILLED" | "GROUP_CONFLICT" | "GROUP_EXHAUSTED" | "GROUP_FULL" | "IDEMPOTENCY_KEY_IN_USE";
            /** @description With `GROUP_EXHAUSTED`: how many users could be sampled. Absent if the shares of new users would exceed 1. */
            free_users?: number;
            /** @description With `GROUP_CONFLICT`: how many users would be in two segments of the group. */
            users?: number;
        };
        SegmentNotCreatedError: {
            message: string;
            /** @enum {string} */
            code: "SEGMENT_ALREADY_EXISTS" | "GROUP_ALREADY_EXISTS" | "GROUP_EXHAUSTED" | "GROUP_FULL" | "IDEMPOTENCY_KEY_IN_USE";
            /**
             * Format: date-time
             * @description When what has this slug was deleted. Absent if it is not deleted.
             */
            deleted_at?: string;
            /** @description With `GROUP_EXHAUSTED`: how many users could be sampled. Absent if the shares of new users would exceed 1. */
            free_users?: number;
        };
        SegmentNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "SEGMENT_NOT_FOUND";
        };
        SegmentOrGroupNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "SEGMENT_NOT_FOUND" | "GROUP_NOT_FOUND";
        };
        SegmentOrUserNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "SEGMENT_NOT_FOUND" | "USER_NOT_FOUND";
        };
        /** @description Segments, ordered by slug. */
        SegmentPage: {
            segments: components["schemas"]["Segment"][];
            /** @description Pass it as `cursor` for the next page. Null on the last page. */
            next_cursor: string | null;
        };
        /** @description The properties that changed. `from` is null when the segment was created. */
        SegmentPropertiesChange: {
            selection?: {
                from: number | null;
                to: number | null;
            };
            from?: {
                from: components["schemas"]["RecordedComposition"] | null;
                to: components["schemas"]["RecordedComposition"] | null;
            };
            description?: {
                from: string | null;
                to: string | null;
            };
            enroll_new_users?: {
                from: boolean | null;
                to: boolean | null;
            };
            group?: {
                from: string | null;
                to: string | null;
            };
            holdout?: {
                from: boolean | null;
                to: boolean | null;
            };
        };
        /** @description A slug, or a segment with an expiry of its own. */
        SegmentToAdd: components["schemas"]["Slug"] | components["schemas"]["ExpiringSegment"];
        SegmentsNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "SEGMENTS_NOT_FOUND";
            /** @description The slugs that name no segment, or a deleted one. */
            segments: string[];
        };
        /** @description Each user of the request appears once: in `segments` or in `unknown`. */
        SegmentsOfUsers: {
            /** @description The active segments of each known user, in the order the segments were created. */
            segments: {
                [key: string]: string[];
            };
            /** @description The users the service has never seen. */
            unknown: string[];
        };
        SegmentsOrGroupNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "SEGMENTS_NOT_FOUND" | "GROUP_NOT_FOUND";
            /** @description The slugs that name no segment, or a deleted one. */
            segments?: string[];
        };
        /** @description The size of the segment at one moment. */
        Size: {
            /** Format: date-time */
            time: string;
            /** @description How many users were in the segment at that moment. */
            members: number;
        };
        /** @description The sizes of the segment, oldest first. */
        Sizes: {
            sizes: components["schemas"]["Size"][];
        };
        /**
         * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
         * @example AVITO_VOICE_MESSAGES
         */
        Slug: string;
        /**
         * @default day
         * @example day
         * @enum {string}
         */
        Step: "hour" | "day";
        /** @description The state of the service and its database. */
        System: {
            version: string;
            /** @description The one that answers. */
            instance: {
                host: string;
                pid: number;
                /** Format: date-time */
                started_at: string;
                /** @description The version of Node.js. */
                node: string;
                /** @enum {string} */
                state: "serving" | "shutting_down";
            };
            /** @description All instances that are connected to the database. Null if `DATABASE_URL` names the connections otherwise. */
            instances: {
                host: string;
                pid: number;
                connections: number;
            }[] | null;
            database: {
                /** @description The version. */
                postgresql: string;
                /** @description The version. Null without Citus. */
                citus: string | null;
                /** @description The size. Null with Citus. */
                bytes: number | null;
                /** @description Whether this instance sends lookups to them. */
                read_servers: {
                    server: string;
                    serving: boolean;
                }[];
            };
            migrations: {
                applied: string[];
                /** @description Those that this version needs. */
                missing: string[];
            };
            fillings: components["schemas"]["Queue"];
            reports: components["schemas"]["Queue"];
            imports: {
                running: number;
            };
            webhooks: {
                active: number;
                paused_by_request: number;
                /** @description Nothing is delivered until somebody sets them active. */
                paused_by_service: number;
                /** @description The largest `lag_seconds` of the active ones. */
                max_lag_seconds: number;
            };
            changes: {
                /**
                 * Format: date-time
                 * @description The oldest change that is kept.
                 */
                oldest_at: string | null;
                /** Format: date-time */
                newest_at: string | null;
            };
            /** @description How many there are, without deleted ones. */
            segments: number;
            /** @description How many there are, without deleted ones. */
            groups: number;
        };
        /** @description What happened to the user, oldest first. */
        Timeline: {
            entries: components["schemas"]["TimelineEntry"][];
            /** @description Pass it as `cursor` for the next page. Null on the last page. */
            next_cursor: string | null;
        };
        /** @description One addition to a segment, one removal, or one change of an expiry. */
        TimelineEntry: {
            slug: components["schemas"]["Slug"];
            /**
             * @description `expiry_set`: the expiry of the running membership was set again.
             * @enum {string}
             */
            operation: "add" | "delete" | "expiry_set";
            /**
             * Format: date-time
             * @description When it took effect.
             */
            time: string;
            /**
             * @description `request`: a change of this user; `import`: an upload of many users; `selection`: sampled for a share of the users; `enrollment`: sampled when first seen; `expiry`: the membership expired; `segment_deleted`: the segment was deleted; `selection_lowered`: sampled to leave when the share was lowered.
             * @enum {string}
             */
            cause: "request" | "selection" | "enrollment" | "import" | "expiry" | "segment_deleted" | "selection_lowered";
            /** @description The name of the API key. Null for an expiry, and if no key was needed. */
            actor: string | null;
            /**
             * Format: date-time
             * @description Of an `add`: the expiry with which the membership began. Of an `expiry_set`: the expiry that was set. Null if there is none.
             */
            expires_at: string | null;
        };
        TooManyWebhooksError: {
            message: string;
            /** @enum {string} */
            code: "TOO_MANY_WEBHOOKS" | "IDEMPOTENCY_KEY_IN_USE";
        };
        UnauthenticatedError: {
            message: string;
            /** @enum {string} */
            code: "UNAUTHENTICATED";
        };
        UnavailableError: {
            message: string;
            /** @enum {string} */
            code: "OVERLOADED" | "DATABASE_UNAVAILABLE" | "LOCK_TIMEOUT" | "SCHEMA_OUTDATED" | "DEADLINE_EXCEEDED";
        };
        UnsupportedMediaTypeError: {
            message: string;
            /** @enum {string} */
            code: "UNSUPPORTED_MEDIA_TYPE";
        };
        UnsupportedUploadTypeError: {
            message: string;
            /** @enum {string} */
            code: "UNSUPPORTED_MEDIA_TYPE";
        };
        UploadToHoldoutError: {
            message: string;
            /** @enum {string} */
            code: "SEGMENT_IS_HOLDOUT" | "IDEMPOTENCY_KEY_IN_USE";
        };
        UploadTooLargeError: {
            message: string;
            /** @enum {string} */
            code: "BODY_TOO_LARGE" | "TOO_MANY_LINES";
        };
        UploadUnavailableError: {
            message: string;
            /** @enum {string} */
            code: "TOO_MANY_IMPORTS" | "SHUTTING_DOWN" | "OVERLOADED" | "DATABASE_UNAVAILABLE" | "LOCK_TIMEOUT" | "SCHEMA_OUTDATED" | "DEADLINE_EXCEEDED";
        };
        /** @description An element of an upload that is more than an id. */
        UploadedMembership: {
            user_id: components["schemas"]["UploadedUserId"];
            /**
             * Format: date-time
             * @description When the membership expires.
             * @example 2023-08-01T00:00:00Z
             */
            expires_at?: string | null;
        };
        /** @description An element of an upload that is more than an id. */
        UploadedUser: {
            user_id: components["schemas"]["UploadedUserId"];
        };
        /** @description A user id, as a string or as an integer. */
        UploadedUserId: components["schemas"]["UserId"] | number;
        /** @description A number of users. */
        UserCount: {
            users: number;
        };
        /**
         * Format: user-id
         * @description A user id: an integer from 1 to 9223372036854775807.
         * @example 10
         */
        UserId: string;
        /** @description The user's memberships, in the order the segments were created. */
        UserMemberships: {
            memberships: components["schemas"]["Membership"][];
        };
        UserNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "USER_NOT_FOUND";
        };
        UserSegmentsConflictError: {
            message: string;
            /** @enum {string} */
            code: "GROUP_CONFLICT" | "SEGMENT_IS_HOLDOUT" | "IDEMPOTENCY_KEY_IN_USE";
            /** @description With `GROUP_CONFLICT`: the segment to add. */
            segment?: string;
            /** @description With `GROUP_CONFLICT`: the segment that has the user, or is to be added too. */
            other_segment?: string;
            /** @description With `GROUP_CONFLICT`: the group of both. */
            group?: string;
        };
        /**
         * Format: binary
         * @description One record per line: `user_id`, separated by commas, semicolons or tabs. A first line that names these columns is a header; `id` is `user_id` too. Blank lines are ignored. Also in UTF-16. Ids are integers from 1 to 9223372036854775807, exact as numbers too, which may be written as `10.0`.
         */
        UsersUploadCsv: string;
        /** @description A user id as an integer or a string, or an object with `user_id`. */
        UsersUploadElement: components["schemas"]["UploadedUserId"] | components["schemas"]["UploadedUser"];
        /** @description A form of a browser with one file, and without other fields. */
        UsersUploadForm: {
            /**
             * Format: binary
             * @description One of the other forms: JSON by its extension (.json, .ndjson, .jsonl), otherwise CSV.
             */
            file: string;
        };
        /** @description An array of ids as integers or strings, or objects with `user_id`. Ids are integers from 1 to 9223372036854775807, exact as numbers too, which may be written as `10.0`. */
        UsersUploadJson: components["schemas"]["UsersUploadElement"][];
        /**
         * Format: binary
         * @description Each line is JSON: ids as integers or strings, or objects with `user_id`. Blank lines are ignored. Ids are integers from 1 to 9223372036854775807, exact as numbers too, which may be written as `10.0`.
         */
        UsersUploadNdjson: string;
        /**
         * @description A webhook, without its secret.
         * @example {
         *       "id": "1",
         *       "url": "https://billing.example.com/segments",
         *       "segments": [
         *         "AVITO_VOICE_MESSAGES"
         *       ],
         *       "state": "active",
         *       "pause_reason": null,
         *       "paused_at": null,
         *       "created_at": "2026-11-23T08:51:00.123456Z",
         *       "created_by": "marketing",
         *       "cursor": "WzEsWzc0OSwxLCIyMDI2LTExLTIzIiwxNzk1NDI0NDYwMTIzNDU2LDEsW11dXQ",
         *       "lag_seconds": 0,
         *       "last_success_at": null,
         *       "last_error": null,
         *       "failures": 0,
         *       "next_attempt_at": null
         *     }
         */
        Webhook: {
            /**
             * @description The `id` of a webhook.
             * @example 1
             */
            id: string;
            url: string;
            /** @description The segments whose changes are delivered. Null: all. */
            segments: string[] | null;
            /** @enum {string} */
            state: "active" | "paused";
            /**
             * @description Null while it is active. `requested`: by a request. `failing`: all deliveries have failed for three days. `gone`: the receiver has answered 410. `cursor_expired`: the changes after `cursor` are no longer kept.
             * @enum {string|null}
             */
            pause_reason: "requested" | "failing" | "gone" | "cursor_expired" | null;
            /** Format: date-time */
            paused_at: string | null;
            /** Format: date-time */
            created_at: string;
            /** @description The name of the API key. Null if no key was needed. */
            created_by: string | null;
            /** @description Everything before this cursor of the change feed has been delivered. */
            cursor: string;
            /** @description The age of the oldest change that is not delivered; 0 if there is none. While the webhook is paused, at most that: the time since the pause. */
            lag_seconds: number;
            /**
             * Format: date-time
             * @description When a delivery last succeeded.
             */
            last_success_at: string | null;
            /** @description The last delivery that failed. It stays after later ones have succeeded. */
            last_error: {
                /** Format: date-time */
                time: string;
                /** @description The receiver's status. Null if it did not answer. */
                status: number | null;
                message: string;
            } | null;
            /** @description Failed deliveries since the last one that succeeded. */
            failures: number;
            /**
             * Format: date-time
             * @description When the delivery that failed is tried again. Null if it is not.
             */
            next_attempt_at: string | null;
        };
        WebhookCursorExpiredError: {
            message: string;
            /** @enum {string} */
            code: "CURSOR_EXPIRED";
        };
        WebhookId: string;
        WebhookNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "WEBHOOK_NOT_FOUND";
        };
        WebhookSegmentsNotFoundError: {
            message: string;
            /** @enum {string} */
            code: "SEGMENTS_NOT_FOUND";
        };
        /** @description All webhooks, the oldest first. */
        Webhooks: {
            webhooks: components["schemas"]["Webhook"][];
        };
    };
    responses: {
        /** @description The body is too large. */
        BodyTooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["BodyTooLargeError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Changes after the cursor are no longer kept, or the database has been restored to an earlier state. */
        CursorExpired: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["CursorExpiredError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request is not valid, the context names no user, or there are too many segments to evaluate all of them. */
        Evaluation: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["EvaluationError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The service failed. The failure is logged. */
        EvaluationInternal: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["EvaluationInternalError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The role of the key is not sufficient. Nothing has changed. */
        Forbidden: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ForbiddenError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is no such group, or it is deleted. */
        GroupNotFound: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GroupNotFoundError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The service has no keys, and is not known by this host name. */
        HostNotAllowed: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["HostNotAllowedError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description A request with the same `Idempotency-Key` is still in progress. */
        IdempotencyKeyInUse: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["IdempotencyKeyInUseError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The `Idempotency-Key` was used for another request. Nothing has changed. */
        IdempotencyKeyReused: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["IdempotencyKeyReusedError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The service failed. The failure is logged, and nothing has changed. */
        Internal: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["InternalError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request is not valid. */
        InvalidBody: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["InvalidBodyError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request is not valid. */
        InvalidChangesRequest: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["InvalidChangesRequestError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request is not valid. */
        InvalidPage: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["InvalidPageError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request is not valid. */
        InvalidRequest: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["InvalidRequestError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request is not valid. */
        InvalidSlugs: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["InvalidSlugsError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request is not valid, or lines were rejected. Nothing has changed. */
        InvalidUpload: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["InvalidUploadError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The service has too many requests. */
        Overloaded: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["OverloadedError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The range begins after the end of the file. */
        RangeNotSatisfiable: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["RangeNotSatisfiableError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The key has sent more requests than it may. */
        RateLimited: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["RateLimitedError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The report has expired. */
        ReportExpired: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ReportExpiredError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The report was never ordered. */
        ReportNotFound: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ReportNotFoundError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The key has not ordered this report. */
        ReportNotOrdered: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ReportNotOrderedError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The key has sent more requests than it may, or has too many reports. */
        ReportOrderLimited: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ReportOrderLimitedError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The report is not ready yet (`Retry-After` says when to try again), has failed, or was never ordered. */
        ReportUnavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ReportUnavailableError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The service cannot answer now. An order is also refused while too many reports are in progress. */
        ReportsUnavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ReportsUnavailableError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The upload paused for half a minute, or brought less than 1 KiB a second for a minute. Nothing has changed. */
        RequestTimeout: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["RequestTimeoutError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is no such segment. A deleted one can be read, but not changed. */
        SegmentNotFound: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["SegmentNotFoundError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description A slug names no segment, or a deleted one. Nothing has changed. */
        SegmentsNotFound: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["SegmentsNotFoundError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request has no valid key. */
        Unauthenticated: {
            headers: {
                "WWW-Authenticate": components["headers"]["WWWAuthenticate"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["UnauthenticatedError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The service cannot answer now. `Retry-After` says in how many seconds to try again. */
        Unavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["UnavailableError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is not JSON by its content type, or is compressed. */
        UnsupportedMediaType: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["UnsupportedMediaTypeError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body has another content type, or is compressed otherwise than with gzip. Nothing has changed. */
        UnsupportedUploadType: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["UnsupportedUploadTypeError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is too large, or has too many lines. Nothing has changed. */
        UploadTooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["UploadTooLargeError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The service cannot answer now, or the outcome is not known: send the upload again after `Retry-After` seconds. Nothing is done twice. */
        UploadUnavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["UploadUnavailableError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The service has never seen this user. */
        UserNotFound: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["UserNotFoundError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is no such webhook. */
        WebhookNotFound: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["WebhookNotFoundError"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: {
        /** @description The time of an order, from its link. Nothing older is served. */
        AsOf: string;
        /** @description Return the state at this moment instead of now. It must not be in the future. */
        At: string;
        /** @description With `true`, nothing is changed: the answer is what would have been. */
        DryRun: boolean;
        /**
         * @description The filename in the link: `user-{user_id}_{from}_{to}.csv`. With details, it ends with `_details.csv`.
         * @example user-10_2023-08-01_2023-08-31.csv
         */
        Filename: string;
        /**
         * @description The `id` of a webhook.
         * @example 1
         */
        Id: components["schemas"]["WebhookId"];
        /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
        IdempotencyKey: string;
        /** @description The `ETag` of an earlier answer. If the answer is still that one, it is 304, without a body. */
        IfNoneMatch: string;
        /** @description Entries in a page at most, 1 to 1000. */
        Limit: number;
        /** @description What a rejected line does: with `fail` nothing is changed; with `skip` the accepted lines take effect. */
        OnError: components["schemas"]["OnRejectedLine"];
        /** @description One range of bytes, which is answered with 206. */
        Range: string;
        /** @description Only changes of this segment and its memberships, and erasures of users. */
        Segment: string;
        /** @description The signature of the link, which replaces a key. It is there if keys are configured. */
        Signature: string;
        /**
         * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
         * @example AVITO_VOICE_MESSAGES
         */
        Slug: components["schemas"]["Slug"];
        /**
         * @description A user id: an integer from 1 to 9223372036854775807.
         * @example 10
         */
        UserId: components["schemas"]["UserId"];
        /** @description Tokens of writes, separated by commas. The answer contains these writes; it may lack later ones. */
        XSegmentsToken: string;
    };
    requestBodies: never;
    headers: {
        /** @description Identifies the content of the answer, for `If-None-Match`. */
        ETag: string;
        /** @description The answer is that of an earlier request with the same `Idempotency-Key`. Otherwise absent. */
        IdempotencyReplayed: "true";
        /** @description When the report was ready. */
        LastModified: string;
        /** @description The path of the next page, with the relation `next` (RFC 8288). Absent on the last page. */
        Link: string;
        /** @description The same link. */
        Location: string;
        /** @description Only if requests are limited: how many more the key may send to this instance (`r`) in the next `t` seconds. */
        RateLimit: string;
        /** @description Only if requests are limited: how many the key may send (`q`) in `w` seconds. */
        RateLimitPolicy: string;
        /** @description Seconds to wait before trying again. */
        RetryAfter: number;
        /** @description How to send a key. */
        WWWAuthenticate: string;
        /** @description The token of this write, for reads that must contain it. */
        XSegmentsToken: string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    createSegment: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
                /** @description With `respond-async` (RFC 7240) the service answers at once and adds the users in the background. */
                prefer?: string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description The segment to create. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "slug": "AVITO_VOICE_MESSAGES",
                 *       "selection": 0.2
                 *     }
                 */
                "application/json": components["schemas"]["CreateSegment"];
            };
        };
        responses: {
            /** @description The segment exists. */
            200: {
                headers: {
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The segment exists. Its users are being added in the background. */
            202: {
                headers: {
                    /** @description Where to read the progress. */
                    Location?: string;
                    /** @description The preference that was followed. */
                    "Preference-Applied"?: string;
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidSlugs"];
            401: components["responses"]["Unauthenticated"];
            /** @description The role of the key is not sufficient. Nothing has changed. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForbiddenError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description A slug names no segment or group, or a deleted one. Nothing has changed. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SegmentsOrGroupNotFoundError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The slug is taken by a segment or a group, possibly a deleted one. Or too few users are free in the group. Or a request with the same `Idempotency-Key` is still in progress. */
            409: {
                headers: {
                    "Retry-After": components["headers"]["RetryAfter"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SegmentNotCreatedError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listSegments: {
        parameters: {
            query?: {
                /** @description Entries in a page at most, 1 to 1000. */
                limit?: components["parameters"]["Limit"];
                /** @description The `next_cursor` of the page before. Without it, the first page. */
                cursor?: string;
                /** @description Only segments with this text in their slug or description. Case makes no difference. */
                q?: string;
                /** @description Whether to list deleted segments too. */
                include_deleted?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Segments, ordered by slug. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "segments": [
                     *         {
                     *           "slug": "PROMO_5",
                     *           "selection": 0.2,
                     *           "from": null,
                     *           "description": "Five per cent off",
                     *           "enroll_new_users": false,
                     *           "group": null,
                     *           "holdout": false,
                     *           "created_at": "2026-11-23T08:51:00.123456Z",
                     *           "deleted_at": null,
                     *           "members": 1500,
                     *           "assignment": {
                     *             "status": "running",
                     *             "assigned": 1500,
                     *             "target": 20000
                     *           }
                     *         }
                     *       ],
                     *       "next_cursor": "WyJzZWdtZW50cyIsIlBST01PXzUiXQ"
                     *     }
                     */
                    "application/json": components["schemas"]["SegmentPage"];
                };
            };
            400: components["responses"]["InvalidPage"];
            401: components["responses"]["Unauthenticated"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getUserSegments: {
        parameters: {
            query?: {
                /** @description Return the state at this moment instead of now. It must not be in the future. */
                at?: components["parameters"]["At"];
            };
            header?: {
                /** @description Tokens of writes, separated by commas. The answer contains these writes; it may lack later ones. */
                "x-segments-token"?: components["parameters"]["XSegmentsToken"];
                /** @description The `ETag` of an earlier answer. If the answer is still that one, it is 304, without a body. */
                "if-none-match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description A user id: an integer from 1 to 9223372036854775807.
                 * @example 10
                 */
                user_id: components["parameters"]["UserId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The slugs of the segments the user is in, in the order the segments were created. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example [
                     *       "AVITO_VOICE_MESSAGES",
                     *       "PROMO_5"
                     *     ]
                     */
                    "application/json": components["schemas"]["ActiveSegments"];
                };
            };
            /** @description The answer is the one that `If-None-Match` names. */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["UserNotFound"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    changeUserSegments: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description A user id: an integer from 1 to 9223372036854775807.
                 * @example 10
                 */
                user_id: components["parameters"]["UserId"];
            };
            cookie?: never;
        };
        /** @description Segments to add and to delete. No slug may appear more than once. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "segments_to_add": [
                 *         "AVITO_VOICE_MESSAGES"
                 *       ],
                 *       "segments_to_delete": []
                 *     }
                 */
                "application/json": components["schemas"]["ChangeUserSegments"];
            };
        };
        responses: {
            /** @description The user is in the segments to add and not in the segments to delete. */
            200: {
                headers: {
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is not valid. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InvalidChangeError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["SegmentsNotFound"];
            /** @description The user would be in two segments of an exclusive group. Or a segment to add is a holdout. Nothing has changed. Or a request with the same `Idempotency-Key` is still in progress. */
            409: {
                headers: {
                    "Retry-After": components["headers"]["RetryAfter"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UserSegmentsConflictError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getSegmentsOfUsers: {
        parameters: {
            query?: {
                /** @description With `true`, the answer names the cursor of the change feed for its moment in `x-segments-cursor`: follow the users from it. */
                cursor?: boolean;
            };
            header?: {
                /** @description Tokens of writes, separated by commas. The answer contains these writes; it may lack later ones. */
                "x-segments-token"?: components["parameters"]["XSegmentsToken"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description The users to look up. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "user_ids": [
                 *         "10",
                 *         "11",
                 *         12
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["QueryUsers"];
            };
        };
        responses: {
            /** @description Each user of the request appears once: in `segments` or in `unknown`. */
            200: {
                headers: {
                    /** @description With `cursor=true`: the cursor of the change feed for this moment. */
                    "x-segments-cursor"?: string;
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "segments": {
                     *         "10": [
                     *           "AVITO_VOICE_MESSAGES"
                     *         ],
                     *         "11": []
                     *       },
                     *       "unknown": [
                     *         "12"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["SegmentsOfUsers"];
                };
            };
            400: components["responses"]["InvalidBody"];
            401: components["responses"]["Unauthenticated"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getUserHistory: {
        parameters: {
            query?: {
                /** @description The start of the interval, inclusive. A day as `YYYY-MM-DD`, which begins at midnight in UTC, or a time as in RFC 3339. */
                from?: string;
                /** @description The end of the interval, exclusive. A day as `YYYY-MM-DD`, which begins at midnight in UTC, or a time as in RFC 3339. */
                to?: string;
                /** @description Entries in a page at most, 1 to 1000. */
                limit?: components["parameters"]["Limit"];
                /** @description The `next_cursor` of the page before. Without it, the first page. */
                cursor?: string;
            };
            header?: {
                /** @description The `ETag` of an earlier answer. If the answer is still that one, it is 304, without a body. */
                "if-none-match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description A user id: an integer from 1 to 9223372036854775807.
                 * @example 10
                 */
                user_id: components["parameters"]["UserId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What happened to the user, oldest first. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "entries": [
                     *         {
                     *           "slug": "PROMO_5",
                     *           "operation": "add",
                     *           "time": "2026-11-17T08:51:00.123456Z",
                     *           "cause": "selection",
                     *           "actor": "marketing",
                     *           "expires_at": null
                     *         },
                     *         {
                     *           "slug": "PROMO_5",
                     *           "operation": "delete",
                     *           "time": "2026-11-18T10:00:00.000000Z",
                     *           "cause": "segment_deleted",
                     *           "actor": "marketing",
                     *           "expires_at": null
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["Timeline"];
                };
            };
            /** @description The answer is the one that `If-None-Match` names. */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidPage"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["UserNotFound"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getUserMemberships: {
        parameters: {
            query?: {
                /** @description Return the state at this moment instead of now. It must not be in the future. */
                at?: components["parameters"]["At"];
            };
            header?: {
                /** @description The `ETag` of an earlier answer. If the answer is still that one, it is 304, without a body. */
                "if-none-match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description A user id: an integer from 1 to 9223372036854775807.
                 * @example 10
                 */
                user_id: components["parameters"]["UserId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The user's memberships, in the order the segments were created. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "memberships": [
                     *         {
                     *           "slug": "PROMO_5",
                     *           "added_at": "2026-11-17T08:51:00.123456Z",
                     *           "expires_at": null,
                     *           "cause": "selection",
                     *           "actor": "marketing"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["UserMemberships"];
                };
            };
            /** @description The answer is the one that `If-None-Match` names. */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["UserNotFound"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getSegmentUser: {
        parameters: {
            query?: never;
            header?: {
                /** @description Tokens of writes, separated by commas. The answer contains these writes; it may lack later ones. */
                "x-segments-token"?: components["parameters"]["XSegmentsToken"];
                /** @description The `ETag` of an earlier answer. If the answer is still that one, it is 304, without a body. */
                "if-none-match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: components["parameters"]["Slug"];
                /**
                 * @description A user id: an integer from 1 to 9223372036854775807.
                 * @example 10
                 */
                user_id: components["parameters"]["UserId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Whether a user is in a segment, since when, until when and why. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MembershipState"];
                };
            };
            /** @description The answer is the one that `If-None-Match` names. */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            /** @description There is no such segment, or no such user. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SegmentOrUserNotFoundError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    addUsers: {
        parameters: {
            query?: {
                /** @description With `true`, nothing is changed: the answer is what would have been. */
                dry_run?: components["parameters"]["DryRun"];
                /** @description What a rejected line does: with `fail` nothing is changed; with `skip` the accepted lines take effect. */
                on_error?: components["parameters"]["OnError"];
            };
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example user_id
                 *     10
                 *     11
                 */
                "text/csv": components["schemas"]["UsersUploadCsv"];
                /**
                 * @example 10
                 *     "11"
                 *     {"user_id":12}
                 */
                "application/x-ndjson": components["schemas"]["UsersUploadNdjson"];
                /**
                 * @example 10
                 *     "11"
                 *     {"user_id":12}
                 */
                "application/ndjson": components["schemas"]["UsersUploadNdjson"];
                /**
                 * @example [
                 *       10,
                 *       "11",
                 *       {
                 *         "user_id": 12
                 *       }
                 *     ]
                 */
                "application/json": components["schemas"]["UsersUploadJson"];
                /**
                 * @example {
                 *       "file": "user_id\n10\n11\n"
                 *     }
                 */
                "multipart/form-data": components["schemas"]["UsersUploadForm"];
            };
        };
        responses: {
            /** @description The outcome of each line: lines = new_users + already_known + rejected.count. */
            200: {
                headers: {
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "lines": 3,
                     *       "new_users": 1,
                     *       "already_known": 2,
                     *       "rejected": {
                     *         "count": 0,
                     *         "first": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["KnownUsers"];
                };
            };
            400: components["responses"]["InvalidUpload"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["IdempotencyKeyInUse"];
            413: components["responses"]["UploadTooLarge"];
            415: components["responses"]["UnsupportedUploadType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["UploadUnavailable"];
        };
    };
    downloadSegmentUsers: {
        parameters: {
            query?: {
                /** @description Return the state at this moment instead of now. It must not be in the future. */
                at?: components["parameters"]["At"];
                /** @description Whether there is a second column, `expires_at`: empty if the membership does not expire. */
                expires?: boolean;
            };
            header?: never;
            path: {
                /**
                 * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: components["parameters"]["Slug"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The users of the segment. A deleted one has none. */
            200: {
                headers: {
                    /** @description The cursor of the change feed for this moment: follow the segment from it. Not with `at`. */
                    "x-segments-cursor"?: string;
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": components["schemas"]["MembersCsv"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["SegmentNotFound"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listSegmentUsers: {
        parameters: {
            query?: {
                /** @description Entries in a page at most, 1 to 1000. */
                limit?: components["parameters"]["Limit"];
                /** @description The `next_cursor` of the page before. Without it, the first page. */
                cursor?: string;
                /** @description Return the state at this moment instead of now. It must not be in the future. */
                at?: components["parameters"]["At"];
            };
            header?: never;
            path: {
                /**
                 * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: components["parameters"]["Slug"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The users in the segment, ordered by id. None if the segment is deleted. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "users": [
                     *         {
                     *           "user_id": "10",
                     *           "added_at": "2026-11-23T08:51:00.123456Z",
                     *           "expires_at": null
                     *         }
                     *       ],
                     *       "next_cursor": "WyJ1c2Vycy9BVklUT19WT0lDRV9NRVNTQUdFUy8yMDIzLTA4LTAxVDAwOjAwOjAwWiIsIjEwIl0"
                     *     }
                     */
                    "application/json": components["schemas"]["MemberPage"];
                };
            };
            400: components["responses"]["InvalidPage"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["SegmentNotFound"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    replaceSegmentUsers: {
        parameters: {
            query?: {
                /** @description With `true`, nothing is changed: the answer is what would have been. */
                dry_run?: components["parameters"]["DryRun"];
                /** @description What a rejected line does: with `fail` nothing is changed; with `skip` the accepted lines take effect. */
                on_error?: components["parameters"]["OnError"];
                /** @description If more users would be removed, nothing is changed. Default: no limit; 0 for an upload without an accepted line. */
                max_removed?: number;
            };
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: components["parameters"]["Slug"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example user_id,expires_at
                 *     10,
                 *     11,2100-01-01T00:00:00Z
                 */
                "text/csv": components["schemas"]["MembershipsUploadCsv"];
                /**
                 * @example 10
                 *     "11"
                 *     {"user_id":12,"expires_at":"2100-01-01T00:00:00Z"}
                 */
                "application/x-ndjson": components["schemas"]["MembershipsUploadNdjson"];
                /**
                 * @example 10
                 *     "11"
                 *     {"user_id":12,"expires_at":"2100-01-01T00:00:00Z"}
                 */
                "application/ndjson": components["schemas"]["MembershipsUploadNdjson"];
                /**
                 * @example [
                 *       10,
                 *       "11",
                 *       {
                 *         "user_id": 12,
                 *         "expires_at": "2100-01-01T00:00:00Z"
                 *       }
                 *     ]
                 */
                "application/json": components["schemas"]["MembershipsUploadJson"];
                /**
                 * @example {
                 *       "file": "user_id\n10\n11\n"
                 *     }
                 */
                "multipart/form-data": components["schemas"]["MembershipsUploadForm"];
            };
        };
        responses: {
            /** @description The outcome of each line: lines = added + already_members + rejected.count. And how many users were removed. */
            200: {
                headers: {
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "lines": 3,
                     *       "added": 2,
                     *       "already_members": 1,
                     *       "new_users": 1,
                     *       "removed": 1,
                     *       "rejected": {
                     *         "count": 0,
                     *         "first": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["ReplacedMembers"];
                };
            };
            400: components["responses"]["InvalidUpload"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["SegmentNotFound"];
            408: components["responses"]["RequestTimeout"];
            /** @description Too many users would be removed, or the segment is a holdout or is being filled. Nothing has changed. Or a request with the same `Idempotency-Key` is still in progress. */
            409: {
                headers: {
                    "Retry-After": components["headers"]["RetryAfter"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReplacementConflictError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["UploadTooLarge"];
            415: components["responses"]["UnsupportedUploadType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["UploadUnavailable"];
        };
    };
    addSegmentUsers: {
        parameters: {
            query?: {
                /** @description With `true`, nothing is changed: the answer is what would have been. */
                dry_run?: components["parameters"]["DryRun"];
                /** @description What a rejected line does: with `fail` nothing is changed; with `skip` the accepted lines take effect. */
                on_error?: components["parameters"]["OnError"];
            };
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: components["parameters"]["Slug"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example user_id,expires_at
                 *     10,
                 *     11,2100-01-01T00:00:00Z
                 */
                "text/csv": components["schemas"]["MembershipsUploadCsv"];
                /**
                 * @example 10
                 *     "11"
                 *     {"user_id":12,"expires_at":"2100-01-01T00:00:00Z"}
                 */
                "application/x-ndjson": components["schemas"]["MembershipsUploadNdjson"];
                /**
                 * @example 10
                 *     "11"
                 *     {"user_id":12,"expires_at":"2100-01-01T00:00:00Z"}
                 */
                "application/ndjson": components["schemas"]["MembershipsUploadNdjson"];
                /**
                 * @example [
                 *       10,
                 *       "11",
                 *       {
                 *         "user_id": 12,
                 *         "expires_at": "2100-01-01T00:00:00Z"
                 *       }
                 *     ]
                 */
                "application/json": components["schemas"]["MembershipsUploadJson"];
                /**
                 * @example {
                 *       "file": "user_id\n10\n11\n"
                 *     }
                 */
                "multipart/form-data": components["schemas"]["MembershipsUploadForm"];
            };
        };
        responses: {
            /** @description The outcome of each line: lines = added + already_members + rejected.count. */
            200: {
                headers: {
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "lines": 3,
                     *       "added": 2,
                     *       "already_members": 1,
                     *       "new_users": 1,
                     *       "rejected": {
                     *         "count": 0,
                     *         "first": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["AddedMembers"];
                };
            };
            400: components["responses"]["InvalidUpload"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["SegmentNotFound"];
            408: components["responses"]["RequestTimeout"];
            /** @description The segment is a holdout. Nothing has changed. Or a request with the same `Idempotency-Key` is still in progress. */
            409: {
                headers: {
                    "Retry-After": components["headers"]["RetryAfter"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UploadToHoldoutError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["UploadTooLarge"];
            415: components["responses"]["UnsupportedUploadType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["UploadUnavailable"];
        };
    };
    removeSegmentUsers: {
        parameters: {
            query?: {
                /** @description With `true`, nothing is changed: the answer is what would have been. */
                dry_run?: components["parameters"]["DryRun"];
                /** @description What a rejected line does: with `fail` nothing is changed; with `skip` the accepted lines take effect. */
                on_error?: components["parameters"]["OnError"];
            };
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: components["parameters"]["Slug"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example user_id
                 *     10
                 *     11
                 */
                "text/csv": components["schemas"]["UsersUploadCsv"];
                /**
                 * @example 10
                 *     "11"
                 *     {"user_id":12}
                 */
                "application/x-ndjson": components["schemas"]["UsersUploadNdjson"];
                /**
                 * @example 10
                 *     "11"
                 *     {"user_id":12}
                 */
                "application/ndjson": components["schemas"]["UsersUploadNdjson"];
                /**
                 * @example [
                 *       10,
                 *       "11",
                 *       {
                 *         "user_id": 12
                 *       }
                 *     ]
                 */
                "application/json": components["schemas"]["UsersUploadJson"];
                /**
                 * @example {
                 *       "file": "user_id\n10\n11\n"
                 *     }
                 */
                "multipart/form-data": components["schemas"]["UsersUploadForm"];
            };
        };
        responses: {
            /** @description The outcome of each line: lines = removed + not_members + rejected.count. */
            200: {
                headers: {
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "lines": 3,
                     *       "removed": 2,
                     *       "not_members": 1,
                     *       "rejected": {
                     *         "count": 0,
                     *         "first": []
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["RemovedMembers"];
                };
            };
            400: components["responses"]["InvalidUpload"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["SegmentNotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["IdempotencyKeyInUse"];
            413: components["responses"]["UploadTooLarge"];
            415: components["responses"]["UnsupportedUploadType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["UploadUnavailable"];
        };
    };
    getSegmentSizes: {
        parameters: {
            query?: {
                /** @description The first moment. By default 90 steps before `to`, at midnight or the full hour in UTC. A day as `YYYY-MM-DD`, which begins at midnight in UTC, or a time as in RFC 3339. */
                from?: string;
                /** @description The last moment, inclusive. By default, and at most, now. A day as `YYYY-MM-DD`, which begins at midnight in UTC, or a time as in RFC 3339. */
                to?: string;
                /** @description The time from one moment to the next. A day is 24 hours. */
                step?: components["schemas"]["Step"];
            };
            header?: never;
            path: {
                /**
                 * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: components["parameters"]["Slug"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The sizes of the segment, oldest first. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "sizes": [
                     *         {
                     *           "time": "2026-11-22T00:00:00.000000Z",
                     *           "members": 19998
                     *         },
                     *         {
                     *           "time": "2026-11-23T00:00:00.000000Z",
                     *           "members": 20000
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["Sizes"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["SegmentNotFound"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getSegmentHistory: {
        parameters: {
            query?: {
                /** @description Entries in a page at most, 1 to 1000. */
                limit?: components["parameters"]["Limit"];
                /** @description The `next_cursor` of the page before. Without it, the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /**
                 * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: components["parameters"]["Slug"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What happened to the segment, oldest first. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "entries": [
                     *         {
                     *           "operation": "created",
                     *           "time": "2026-11-17T08:51:00.123456Z",
                     *           "actor": "marketing",
                     *           "changes": {
                     *             "selection": {
                     *               "from": null,
                     *               "to": 0.2
                     *             }
                     *           },
                     *           "added": 20000,
                     *           "removed": 0
                     *         },
                     *         {
                     *           "operation": "changed",
                     *           "time": "2026-11-18T10:00:00.000000Z",
                     *           "actor": "marketing",
                     *           "changes": {
                     *             "selection": {
                     *               "from": 0.2,
                     *               "to": 0.1
                     *             }
                     *           },
                     *           "added": 0,
                     *           "removed": 10000
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["SegmentHistory"];
                };
            };
            400: components["responses"]["InvalidPage"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["SegmentNotFound"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    countComposedUsers: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description The users to count. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "from": {
                 *         "all": [
                 *           "AVITO_VOICE_MESSAGES"
                 *         ]
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["CountComposed"];
            };
        };
        responses: {
            /** @description A number of users. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "users": 100000
                     *     }
                     */
                    "application/json": components["schemas"]["UserCount"];
                };
            };
            400: components["responses"]["InvalidSlugs"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["SegmentsNotFound"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getSegment: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: components["parameters"]["Slug"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A segment, its number of members, and the progress of adding its users. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "slug": "PROMO_5",
                     *       "selection": 0.2,
                     *       "from": null,
                     *       "description": "Five per cent off",
                     *       "enroll_new_users": false,
                     *       "group": null,
                     *       "holdout": false,
                     *       "created_at": "2026-11-23T08:51:00.123456Z",
                     *       "deleted_at": null,
                     *       "members": 1500,
                     *       "assignment": {
                     *         "status": "running",
                     *         "assigned": 1500,
                     *         "target": 20000
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["Segment"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["SegmentNotFound"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    deleteSegment: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: components["parameters"]["Slug"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The segment is deleted. */
            200: {
                headers: {
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidBody"];
            401: components["responses"]["Unauthenticated"];
            /** @description The role of the key is not sufficient. Nothing has changed. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForbiddenError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such segment, or it is already deleted. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SegmentNotFoundError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            409: components["responses"]["IdempotencyKeyInUse"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    changeSegment: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The name of a segment: 1 to 128 characters, a letter or digit, then letters, digits, `_`, `-`, `.`. Case makes no difference: slugs are stored and returned in upper case.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: components["parameters"]["Slug"];
            };
            cookie?: never;
        };
        /** @description What to change. What is absent stays. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "selection": 0.3
                 *     }
                 */
                "application/json": components["schemas"]["ChangeSegment"];
            };
        };
        responses: {
            /** @description How the members have changed. */
            200: {
                headers: {
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "added": 100,
                     *       "removed": 0
                     *     }
                     */
                    "application/json": components["schemas"]["SegmentChange"];
                };
            };
            400: components["responses"]["InvalidBody"];
            401: components["responses"]["Unauthenticated"];
            /** @description The role of the key is not sufficient. Nothing has changed. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForbiddenError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such segment or no such group, or it is deleted. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SegmentOrGroupNotFoundError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Users are still being added in the background. Or too few users are free in the group. Or users would be in two segments of it. Nothing has changed. Or a request with the same `Idempotency-Key` is still in progress. */
            409: {
                headers: {
                    "Retry-After": components["headers"]["RetryAfter"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SegmentNotChangedError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listGroups: {
        parameters: {
            query?: {
                /** @description Entries in a page at most, 1 to 1000. */
                limit?: components["parameters"]["Limit"];
                /** @description The `next_cursor` of the page before. Without it, the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Groups that are not deleted, ordered by slug. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "groups": [
                     *         {
                     *           "slug": "CHECKOUT_TEST",
                     *           "description": "Which checkout sells more",
                     *           "created_at": "2026-11-23T08:51:00.123456Z",
                     *           "created_by": "marketing",
                     *           "segments": [
                     *             "CHECKOUT_NEW"
                     *           ]
                     *         }
                     *       ],
                     *       "next_cursor": "WyJncm91cHMiLCJDSEVDS09VVF9URVNUIl0"
                     *     }
                     */
                    "application/json": components["schemas"]["GroupPage"];
                };
            };
            400: components["responses"]["InvalidPage"];
            401: components["responses"]["Unauthenticated"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    createGroup: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description The exclusive group to create. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "slug": "CHECKOUT_TEST",
                 *       "description": "Which checkout sells more"
                 *     }
                 */
                "application/json": components["schemas"]["CreateGroup"];
            };
        };
        responses: {
            /** @description The group exists. It has no segments yet. */
            200: {
                headers: {
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidBody"];
            401: components["responses"]["Unauthenticated"];
            /** @description The role of the key is not sufficient. Nothing has changed. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForbiddenError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The slug is taken by a group or a segment, possibly a deleted one. Or a request with the same `Idempotency-Key` is still in progress. */
            409: {
                headers: {
                    "Retry-After": components["headers"]["RetryAfter"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GroupAlreadyExistsError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getOverlaps: {
        parameters: {
            query?: {
                /** @description Slugs of up to 50 segments, separated by commas, of this group or not. By default the segments of the group. */
                segments?: string;
            };
            header?: never;
            path: {
                /**
                 * @description The slug of an exclusive group. A user is in at most one segment of a group at any moment.
                 * @example CHECKOUT_TEST
                 */
                slug: components["schemas"]["GroupSlug"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description How many users each two segments share, all at one moment. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "segments": [
                     *         {
                     *           "slug": "AVITO_VOICE_MESSAGES",
                     *           "members": 20000
                     *         },
                     *         {
                     *           "slug": "CHECKOUT_NEW",
                     *           "members": 10000
                     *         }
                     *       ],
                     *       "overlaps": [
                     *         {
                     *           "segments": [
                     *             "AVITO_VOICE_MESSAGES",
                     *             "CHECKOUT_NEW"
                     *           ],
                     *           "users": 2013
                     *         }
                     *       ],
                     *       "as_of": "2026-11-23T08:51:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Overlaps"];
                };
            };
            /** @description The request is not valid. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InvalidComparisonError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["Unauthenticated"];
            /** @description There is no such group, or a slug names no segment, or they are deleted. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GroupOrSegmentsNotFoundError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getGroup: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The slug of an exclusive group. A user is in at most one segment of a group at any moment.
                 * @example CHECKOUT_TEST
                 */
                slug: components["schemas"]["GroupSlug"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description An exclusive group and its segments, all at one moment. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "slug": "CHECKOUT_TEST",
                     *       "description": "Which checkout sells more",
                     *       "created_at": "2026-11-23T08:51:00.123456Z",
                     *       "created_by": "marketing",
                     *       "deleted_at": null,
                     *       "deleted_by": null,
                     *       "users": 100000,
                     *       "members": 10000,
                     *       "free_users": 90000,
                     *       "segments": [
                     *         {
                     *           "slug": "CHECKOUT_NEW",
                     *           "selection": 0.1,
                     *           "enroll_new_users": true,
                     *           "holdout": false,
                     *           "members": 10000,
                     *           "assignment": {
                     *             "status": "done",
                     *             "assigned": 10000,
                     *             "target": 10000
                     *           }
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["GroupReport"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["GroupNotFound"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    deleteGroup: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The slug of an exclusive group. A user is in at most one segment of a group at any moment.
                 * @example CHECKOUT_TEST
                 */
                slug: components["schemas"]["GroupSlug"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The group is deleted. */
            200: {
                headers: {
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidBody"];
            401: components["responses"]["Unauthenticated"];
            /** @description The role of the key is not sufficient. Nothing has changed. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForbiddenError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: components["responses"]["GroupNotFound"];
            409: components["responses"]["IdempotencyKeyInUse"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listChanges: {
        parameters: {
            query: {
                /**
                 * @description A cursor: only changes that it has not seen are returned. `start`: all that are kept. `now`: none that have happened so far. A day, as `YYYY-MM-DD`: those since it began, in UTC.
                 * @example start
                 */
                after: string;
                /** @description The maximum number of changes, 1 to 1000. */
                limit?: number;
                /** @description If there are no changes, wait up to this many seconds for the first one. */
                wait?: number;
                /** @description Only changes of this segment and its memberships, and erasures of users. */
                segment?: components["parameters"]["Segment"];
                /** @description Only changes of this user's memberships, and deletions of segments. */
                user_id?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Changes, and the cursor after them. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "changes": [
                     *         {
                     *           "cursor": "WzEsWzc0OSwxLCIyMDI2LTExLTIzIiwxNzk1NDI0NDYwMTIzNDU2LDEsW11dXQ",
                     *           "type": "membership_added",
                     *           "user_id": "10",
                     *           "slug": "AVITO_VOICE_MESSAGES",
                     *           "time": "2026-11-23T08:51:00.123456Z",
                     *           "cause": "request",
                     *           "actor": "marketing",
                     *           "expires_at": null,
                     *           "changes": null
                     *         }
                     *       ],
                     *       "cursor": "WzEsWzc0OSwxLCIyMDI2LTExLTIzIiwxNzk1NDI0NDYwMTIzNDU2LDEsW11dXQ"
                     *     }
                     */
                    "application/json": components["schemas"]["Changes"];
                };
            };
            400: components["responses"]["InvalidChangesRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["SegmentNotFound"];
            410: components["responses"]["CursorExpired"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    streamChanges: {
        parameters: {
            query?: {
                /**
                 * @description A cursor: only changes that it has not seen are returned. `start`: all that are kept. `now`: none that have happened so far. A day, as `YYYY-MM-DD`: those since it began, in UTC.
                 * @example start
                 */
                after?: string;
                /**
                 * @description End the stream when there has been no change for this many seconds. Default: never.
                 * @example 0
                 */
                wait?: number;
                /** @description Only changes of this segment and its memberships, and erasures of users. */
                segment?: components["parameters"]["Segment"];
                /** @description Only changes of this user's memberships, and deletions of segments. */
                user_id?: string;
            };
            header?: {
                /** @description The `id` of the last event that the client has received. It replaces `after`. */
                "last-event-id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Changes, without an end. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["ChangeStream"];
                };
            };
            400: components["responses"]["InvalidChangesRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["SegmentNotFound"];
            410: components["responses"]["CursorExpired"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    listWebhooks: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All webhooks, the oldest first. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "webhooks": [
                     *         {
                     *           "id": "1",
                     *           "url": "https://billing.example.com/segments",
                     *           "segments": [
                     *             "AVITO_VOICE_MESSAGES"
                     *           ],
                     *           "state": "active",
                     *           "pause_reason": null,
                     *           "paused_at": null,
                     *           "created_at": "2026-11-23T08:51:00.123456Z",
                     *           "created_by": "marketing",
                     *           "cursor": "WzEsWzc0OSwxLCIyMDI2LTExLTIzIiwxNzk1NDI0NDYwMTIzNDU2LDEsW11dXQ",
                     *           "lag_seconds": 0,
                     *           "last_success_at": null,
                     *           "last_error": null,
                     *           "failures": 0,
                     *           "next_attempt_at": null
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["Webhooks"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            /** @description The role of the key is not sufficient. Nothing has changed. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForbiddenError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    createWebhook: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description The webhook to create. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "url": "https://billing.example.com/segments"
                 *     }
                 */
                "application/json": components["schemas"]["CreateWebhook"];
            };
        };
        responses: {
            /** @description The webhook, and its secret if one was made. */
            201: {
                headers: {
                    /** @description Its path. */
                    Location?: string;
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "1",
                     *       "url": "https://billing.example.com/segments",
                     *       "segments": [
                     *         "AVITO_VOICE_MESSAGES"
                     *       ],
                     *       "state": "active",
                     *       "pause_reason": null,
                     *       "paused_at": null,
                     *       "created_at": "2026-11-23T08:51:00.123456Z",
                     *       "created_by": "marketing",
                     *       "cursor": "WzEsWzc0OSwxLCIyMDI2LTExLTIzIiwxNzk1NDI0NDYwMTIzNDU2LDEsW11dXQ",
                     *       "lag_seconds": 0,
                     *       "last_success_at": null,
                     *       "last_error": null,
                     *       "failures": 0,
                     *       "next_attempt_at": null,
                     *       "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
                     *     }
                     */
                    "application/json": components["schemas"]["CreatedWebhook"];
                };
            };
            /** @description The request is not valid. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InvalidWebhookError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["Unauthenticated"];
            /** @description The role of the key is not sufficient. Nothing has changed. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForbiddenError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Some segments do not exist, or are deleted. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookSegmentsNotFoundError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There are too many webhooks. Or a request with the same `Idempotency-Key` is still in progress. */
            409: {
                headers: {
                    "Retry-After": components["headers"]["RetryAfter"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TooManyWebhooksError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The `id` of a webhook.
                 * @example 1
                 */
                id: components["parameters"]["Id"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A webhook, without its secret. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "1",
                     *       "url": "https://billing.example.com/segments",
                     *       "segments": [
                     *         "AVITO_VOICE_MESSAGES"
                     *       ],
                     *       "state": "active",
                     *       "pause_reason": null,
                     *       "paused_at": null,
                     *       "created_at": "2026-11-23T08:51:00.123456Z",
                     *       "created_by": "marketing",
                     *       "cursor": "WzEsWzc0OSwxLCIyMDI2LTExLTIzIiwxNzk1NDI0NDYwMTIzNDU2LDEsW11dXQ",
                     *       "lag_seconds": 0,
                     *       "last_success_at": null,
                     *       "last_error": null,
                     *       "failures": 0,
                     *       "next_attempt_at": null
                     *     }
                     */
                    "application/json": components["schemas"]["Webhook"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            /** @description The role of the key is not sufficient. Nothing has changed. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForbiddenError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: components["responses"]["WebhookNotFound"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    deleteWebhook: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The `id` of a webhook.
                 * @example 1
                 */
                id: components["parameters"]["Id"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The webhook is deleted. */
            204: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidBody"];
            401: components["responses"]["Unauthenticated"];
            /** @description The role of the key is not sufficient. Nothing has changed. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForbiddenError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: components["responses"]["WebhookNotFound"];
            409: components["responses"]["IdempotencyKeyInUse"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    changeWebhook: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The `id` of a webhook.
                 * @example 1
                 */
                id: components["parameters"]["Id"];
            };
            cookie?: never;
        };
        /** @description What to change. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "state": "paused"
                 *     }
                 */
                "application/json": components["schemas"]["ChangeWebhook"];
            };
        };
        responses: {
            /** @description A webhook, without its secret. */
            200: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "1",
                     *       "url": "https://billing.example.com/segments",
                     *       "segments": [
                     *         "AVITO_VOICE_MESSAGES"
                     *       ],
                     *       "state": "active",
                     *       "pause_reason": null,
                     *       "paused_at": null,
                     *       "created_at": "2026-11-23T08:51:00.123456Z",
                     *       "created_by": "marketing",
                     *       "cursor": "WzEsWzc0OSwxLCIyMDI2LTExLTIzIiwxNzk1NDI0NDYwMTIzNDU2LDEsW11dXQ",
                     *       "lag_seconds": 0,
                     *       "last_success_at": null,
                     *       "last_error": null,
                     *       "failures": 0,
                     *       "next_attempt_at": null
                     *     }
                     */
                    "application/json": components["schemas"]["Webhook"];
                };
            };
            /** @description The request is not valid. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InvalidWebhookChangeError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["Unauthenticated"];
            /** @description The role of the key is not sufficient. Nothing has changed. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForbiddenError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: components["responses"]["WebhookNotFound"];
            409: components["responses"]["IdempotencyKeyInUse"];
            /** @description Changes after the cursor are no longer kept: `after` must be another one. Nothing has changed. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookCursorExpiredError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    evaluateFlag: {
        parameters: {
            query?: never;
            header?: {
                /** @description Tokens of writes, separated by commas. The answer contains these writes; it may lack later ones. */
                "x-segments-token"?: components["parameters"]["XSegmentsToken"];
            };
            path: {
                /**
                 * @description The key of the flag: the slug of a segment or of an exclusive group. Case makes no difference.
                 * @example AVITO_VOICE_MESSAGES
                 */
                slug: string;
            };
            cookie?: never;
        };
        /** @description What an evaluation depends on. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "context": {
                 *         "targetingKey": "10"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["EvaluationRequest"];
            };
        };
        responses: {
            /** @description The value of a flag for the user. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "key": "AVITO_VOICE_MESSAGES",
                     *       "value": true,
                     *       "reason": "TARGETING_MATCH",
                     *       "variant": "on",
                     *       "metadata": {}
                     *     }
                     */
                    "application/json": components["schemas"]["Evaluation"];
                };
            };
            400: components["responses"]["Evaluation"];
            401: components["responses"]["Unauthenticated"];
            /** @description There is no such segment or group, or it is deleted. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FlagNotFoundError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["EvaluationInternal"];
            503: components["responses"]["Unavailable"];
        };
    };
    evaluateFlags: {
        parameters: {
            query?: {
                /** @description Sent by clients after a notification. Every evaluation is current, so it makes no difference. */
                flagConfigEtag?: string;
                /** @description The same as `flagConfigEtag`, as a time. */
                flagConfigLastModified?: string;
            };
            header?: {
                /** @description Tokens of writes, separated by commas. The answer contains these writes; it may lack later ones. */
                "x-segments-token"?: components["parameters"]["XSegmentsToken"];
                /** @description The `ETag` of an earlier answer. The answer is 304 if it would be the same. */
                "if-none-match"?: string;
            };
            path?: never;
            cookie?: never;
        };
        /** @description What an evaluation depends on. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "context": {
                 *         "targetingKey": "10"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["EvaluationRequest"];
            };
        };
        responses: {
            /** @description All segments that are not deleted, in the order they were created. Then all such groups. */
            200: {
                headers: {
                    /** @description Changes with the answer. */
                    ETag?: string;
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "flags": [
                     *         {
                     *           "key": "AVITO_VOICE_MESSAGES",
                     *           "value": true,
                     *           "reason": "TARGETING_MATCH",
                     *           "variant": "on"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["BulkEvaluation"];
                };
            };
            /** @description The answer is the one that `If-None-Match` names. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Evaluation"];
            401: components["responses"]["Unauthenticated"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["EvaluationInternal"];
            503: components["responses"]["Unavailable"];
        };
    };
    orderUserReport: {
        parameters: {
            query?: {
                /**
                 * @description The first day, in UTC. It is inclusive.
                 * @example 2023-08-01
                 */
                from?: string;
                /**
                 * @description The day after the last one, in UTC. It is exclusive, and tomorrow at the latest.
                 * @example 2023-08-31
                 */
                to?: string;
                /** @description A month, as `YYYY-MM`, instead of `from` and `to`. The report of the current month is up to now. */
                month?: string;
                /** @description Whether the report has three further columns: `cause`, `actor` and `expires_at`, which is the expiry that an addition was made with. */
                details?: boolean;
            };
            header?: never;
            path: {
                /**
                 * @description A user id: an integer from 1 to 9223372036854775807.
                 * @example 10
                 */
                user_id: components["parameters"]["UserId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The report is being made, or is ready. */
            202: {
                headers: {
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "link": "http://127.0.0.1:8080/api/v1/segments/user/history/user-10_2023-08-01_2023-08-31.csv"
                     *     }
                     */
                    "application/json": components["schemas"]["OrderedReport"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            /** @description A page of another site has sent the request. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CrossSiteOrderError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: components["responses"]["UserNotFound"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["ReportOrderLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["ReportsUnavailable"];
        };
    };
    getUserReportStatus: {
        parameters: {
            query?: {
                /** @description The time of an order, from its link. Nothing older is served. */
                as_of?: components["parameters"]["AsOf"];
            };
            header?: never;
            path: {
                /**
                 * @description The filename in the link: `user-{user_id}_{from}_{to}.csv`. With details, it ends with `_details.csv`.
                 * @example user-10_2023-08-01_2023-08-31.csv
                 */
                filename: components["parameters"]["Filename"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The progress of a report. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ready",
                     *       "rows": 2,
                     *       "bytes": 134,
                     *       "sha256": "f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2",
                     *       "created_at": "2026-11-23T08:51:00.123456Z",
                     *       "finished_at": "2026-11-23T08:51:00.345678Z",
                     *       "error": null,
                     *       "link": "http://127.0.0.1:8080/api/v1/segments/user/history/user-10_2023-08-01_2023-08-31.csv"
                     *     }
                     */
                    "application/json": components["schemas"]["ReportStatus"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["ReportNotFound"];
            410: components["responses"]["ReportExpired"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    downloadUserReport: {
        parameters: {
            query?: {
                /** @description The time of an order, from its link. Nothing older is served. */
                as_of?: components["parameters"]["AsOf"];
                /** @description The signature of the link, which replaces a key. It is there if keys are configured. */
                signature?: components["parameters"]["Signature"];
            };
            header?: {
                /** @description One range of bytes, which is answered with 206. */
                range?: components["parameters"]["Range"];
                /** @description The `ETag` of an earlier answer. If the answer is still that one, it is 304, without a body. */
                "if-none-match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description The filename in the link: `user-{user_id}_{from}_{to}.csv`. With details, it ends with `_details.csv`.
                 * @example user-10_2023-08-01_2023-08-31.csv
                 */
                filename: components["parameters"]["Filename"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The report as a file. */
            200: {
                headers: {
                    /** @description Identifies the content, and its encoding. */
                    ETag?: string;
                    "Last-Modified": components["headers"]["LastModified"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": components["schemas"]["ReportCsv"];
                };
            };
            /** @description The range of the file. */
            206: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": components["schemas"]["ReportCsv"];
                };
            };
            /** @description The client has the file already. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The file is in an object storage, whose answer has another `ETag` and no gzip. */
            307: {
                headers: {
                    /** @description Can be used for a minute. It needs no key. */
                    Location?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["ReportUnavailable"];
            410: components["responses"]["ReportExpired"];
            416: components["responses"]["RangeNotSatisfiable"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["ReportsUnavailable"];
        };
    };
    cancelUserReport: {
        parameters: {
            query?: {
                /** @description The time of an order, from its link. Nothing older is served. */
                as_of?: components["parameters"]["AsOf"];
                /** @description The signature of the link, which replaces a key. It is there if keys are configured. */
                signature?: components["parameters"]["Signature"];
            };
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The filename in the link: `user-{user_id}_{from}_{to}.csv`. With details, it ends with `_details.csv`.
                 * @example user-10_2023-08-01_2023-08-31.csv
                 */
                filename: components["parameters"]["Filename"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The order is cancelled. */
            204: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidBody"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["ReportNotOrdered"];
            409: components["responses"]["IdempotencyKeyInUse"];
            410: components["responses"]["ReportExpired"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    orderReport: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        /** @description The interval or the month, and optionally a segment. */
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "from": "2023-08-01",
                 *       "to": "2023-08-31",
                 *       "segment": "AVITO_VOICE_MESSAGES"
                 *     }
                 */
                "application/json": components["schemas"]["OrderReport"];
            };
        };
        responses: {
            /** @description The report is being made, or is ready. */
            202: {
                headers: {
                    Location: components["headers"]["Location"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "link": "http://127.0.0.1:8080/api/v1/reports/segment-AVITO_VOICE_MESSAGES_2023-08-01_2023-08-31.csv"
                     *     }
                     */
                    "application/json": components["schemas"]["OrderedReport"];
                };
            };
            400: components["responses"]["InvalidBody"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["SegmentNotFound"];
            409: components["responses"]["IdempotencyKeyInUse"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["ReportOrderLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["ReportsUnavailable"];
        };
    };
    getReportStatus: {
        parameters: {
            query?: {
                /** @description The time of an order, from its link. Nothing older is served. */
                as_of?: components["parameters"]["AsOf"];
            };
            header?: never;
            path: {
                /**
                 * @description The filename in the link: `all_{from}_{to}.csv`, `segment-{slug}_{from}_{to}.csv` or `user-{user_id}_{from}_{to}.csv`. With details, it ends with `_details.csv`.
                 * @example segment-AVITO_VOICE_MESSAGES_2023-08-01_2023-08-31.csv
                 */
                filename: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The progress of a report. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ready",
                     *       "rows": 2,
                     *       "bytes": 134,
                     *       "sha256": "f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2",
                     *       "created_at": "2026-11-23T08:51:00.123456Z",
                     *       "finished_at": "2026-11-23T08:51:00.345678Z",
                     *       "error": null,
                     *       "link": "http://127.0.0.1:8080/api/v1/segments/user/history/user-10_2023-08-01_2023-08-31.csv"
                     *     }
                     */
                    "application/json": components["schemas"]["ReportStatus"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["ReportNotFound"];
            410: components["responses"]["ReportExpired"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    downloadReport: {
        parameters: {
            query?: {
                /** @description The time of an order, from its link. Nothing older is served. */
                as_of?: components["parameters"]["AsOf"];
                /** @description The signature of the link, which replaces a key. It is there if keys are configured. */
                signature?: components["parameters"]["Signature"];
            };
            header?: {
                /** @description One range of bytes, which is answered with 206. */
                range?: components["parameters"]["Range"];
                /** @description The `ETag` of an earlier answer. If the answer is still that one, it is 304, without a body. */
                "if-none-match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description The filename in the link: `all_{from}_{to}.csv`, `segment-{slug}_{from}_{to}.csv` or `user-{user_id}_{from}_{to}.csv`. With details, it ends with `_details.csv`.
                 * @example segment-AVITO_VOICE_MESSAGES_2023-08-01_2023-08-31.csv
                 */
                filename: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The report as a file. */
            200: {
                headers: {
                    /** @description Identifies the content, and its encoding. */
                    ETag?: string;
                    "Last-Modified": components["headers"]["LastModified"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": components["schemas"]["ReportCsv"];
                };
            };
            /** @description The range of the file. */
            206: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": components["schemas"]["ReportCsv"];
                };
            };
            /** @description The client has the file already. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The file is in an object storage, whose answer has another `ETag` and no gzip. */
            307: {
                headers: {
                    /** @description Can be used for a minute. It needs no key. */
                    Location?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["ReportUnavailable"];
            410: components["responses"]["ReportExpired"];
            416: components["responses"]["RangeNotSatisfiable"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["ReportsUnavailable"];
        };
    };
    cancelReport: {
        parameters: {
            query?: {
                /** @description The time of an order, from its link. Nothing older is served. */
                as_of?: components["parameters"]["AsOf"];
                /** @description The signature of the link, which replaces a key. It is there if keys are configured. */
                signature?: components["parameters"]["Signature"];
            };
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The filename in the link: `all_{from}_{to}.csv`, `segment-{slug}_{from}_{to}.csv` or `user-{user_id}_{from}_{to}.csv`. With details, it ends with `_details.csv`.
                 * @example segment-AVITO_VOICE_MESSAGES_2023-08-01_2023-08-31.csv
                 */
                filename: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The order is cancelled. */
            204: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidBody"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["ReportNotOrdered"];
            409: components["responses"]["IdempotencyKeyInUse"];
            410: components["responses"]["ReportExpired"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    countUsers: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A number of users. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "users": 100000
                     *     }
                     */
                    "application/json": components["schemas"]["UserCount"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    eraseUser: {
        parameters: {
            query?: never;
            header?: {
                /** @description Makes the write safe to retry: within 24 hours, the same request with the same key is answered like the first one, and has no further effect. Use a new UUID for each write. */
                "idempotency-key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description A user id: an integer from 1 to 9223372036854775807.
                 * @example 10
                 */
                user_id: components["parameters"]["UserId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The user is erased. */
            204: {
                headers: {
                    "x-segments-token": components["headers"]["XSegmentsToken"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidBody"];
            401: components["responses"]["Unauthenticated"];
            /** @description The role of the key is not sufficient. Nothing has changed. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ForbiddenError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            404: components["responses"]["UserNotFound"];
            409: components["responses"]["IdempotencyKeyInUse"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            421: components["responses"]["HostNotAllowed"];
            422: components["responses"]["IdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getKey: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description An API key. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "marketing",
                     *       "role": "admin"
                     *     }
                     */
                    "application/json": components["schemas"]["Key"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Overloaded"];
        };
    };
    getSystem: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The state of the service and its database. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "version": "1.0.0",
                     *       "instance": {
                     *         "host": "segments-1",
                     *         "pid": 7,
                     *         "started_at": "2026-11-23T08:51:00.123456Z",
                     *         "node": "24.1.0",
                     *         "state": "serving"
                     *       },
                     *       "instances": [
                     *         {
                     *           "host": "segments-1",
                     *           "pid": 7,
                     *           "connections": 12
                     *         }
                     *       ],
                     *       "database": {
                     *         "postgresql": "18.1",
                     *         "citus": null,
                     *         "bytes": 4000000000,
                     *         "read_servers": [
                     *           {
                     *             "server": "standby:5432",
                     *             "serving": true
                     *           }
                     *         ]
                     *       },
                     *       "migrations": {
                     *         "applied": [
                     *           "0001_schema"
                     *         ],
                     *         "missing": []
                     *       },
                     *       "fillings": {
                     *         "queued": 0,
                     *         "running": 1,
                     *         "failed": 0,
                     *         "oldest_queued_seconds": 0,
                     *         "oldest_running_seconds": 2.5
                     *       },
                     *       "reports": {
                     *         "queued": 0,
                     *         "running": 1,
                     *         "failed": 0,
                     *         "oldest_queued_seconds": 0,
                     *         "oldest_running_seconds": 2.5
                     *       },
                     *       "imports": {
                     *         "running": 0
                     *       },
                     *       "webhooks": {
                     *         "active": 2,
                     *         "paused_by_request": 0,
                     *         "paused_by_service": 0,
                     *         "max_lag_seconds": 0.4
                     *       },
                     *       "changes": {
                     *         "oldest_at": "2026-11-23T08:51:00.123456Z",
                     *         "newest_at": "2026-11-23T08:51:00.123456Z"
                     *       },
                     *       "segments": 120,
                     *       "groups": 4
                     *     }
                     */
                    "application/json": components["schemas"]["System"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Unavailable"];
        };
    };
    getLiveness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The process runs. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "live"
                     *     }
                     */
                    "application/json": components["schemas"]["Liveness"];
                };
            };
            400: components["responses"]["InvalidRequest"];
        };
    };
    getReadiness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The service can answer requests. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ready"
                     *     }
                     */
                    "application/json": components["schemas"]["Readiness"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            500: components["responses"]["Internal"];
            /** @description The service cannot answer requests now. */
            503: {
                headers: {
                    "Retry-After": components["headers"]["RetryAfter"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NotReadyError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The metrics, in the text form of Prometheus. */
            200: {
                headers: {
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            400: components["responses"]["InvalidRequest"];
            401: components["responses"]["Unauthenticated"];
            421: components["responses"]["HostNotAllowed"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["Internal"];
            503: components["responses"]["Overloaded"];
        };
    };
    getOpenApiDocument: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description An OpenAPI 3.1 document. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpenApiDocument"];
                };
            };
            /** @description The document is the one that `If-None-Match` names. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidRequest"];
            421: components["responses"]["HostNotAllowed"];
            /** @description The address has sent more requests than it may. */
            429: {
                headers: {
                    "Retry-After": components["headers"]["RetryAfter"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AddressRateLimitedError"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            500: components["responses"]["Internal"];
            503: components["responses"]["Overloaded"];
        };
    };
    deliverChanges: {
        parameters: {
            query?: never;
            header: {
                /**
                 * @description The id of the batch, the same on each attempt.
                 * @example msg_jOrVKGWkdPf7zkcMCYSwUQ
                 */
                "webhook-id": string;
                /**
                 * @description When the attempt was made, in seconds since 1970.
                 * @example 1795424040
                 */
                "webhook-timestamp": string;
                /**
                 * @description The signature, as in Standard Webhooks.
                 * @example v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
                 */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Changes"];
            };
        };
        responses: {
            /** @description The receiver wants no more deliveries. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The batch has been received. The body is ignored. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
}
