//! The table of routes: one entry per address and method, for routing, access, bodies and OpenAPI alike.
//!
//! Belongs here: the entries of the servers' own routes. Does not belong here: what a route does, the live
//! view's entries (its controllers).

use super::access::Access;
use super::openapi;
use super::route::{Content, Route};
use super::schema::{Field, Schema, TEXT, always, maybe};
use crate::controllers::{
    broadcasts, friend_requests, health, live_view, logins, metrics, notifications, purchases,
    queues, reset_passwords, sessions, signups, users,
};

const PAGE_QUERY: &[Field] = &[
    maybe("page", Schema::Whole(1, 4_294_967_295)),
    maybe("limit", Schema::Whole(1, 100)),
];
const NOTIFICATIONS_QUERY: &[Field] = &[
    maybe("page", Schema::Whole(1, 4_294_967_295)),
    maybe("limit", Schema::Whole(1, 100)),
    maybe("channel", Schema::OneOf(&["email", "in-app"])),
];
const NEWS_KIND: Schema = Schema::OneOf(&[
    "signup",
    "login",
    "reset_password",
    "purchase",
    "friend_request",
]);
const PASSWORD: Schema = Schema::Text(6, 256);
const ROLE: Field = always("role", Schema::OneOf(&["user", "admin"]));
const USER_ID: Field = always("userId", Schema::Id);
const REQUEST_ID: Field = always("requestId", TEXT);

static MADE_ACCOUNT: Schema = Schema::Object(&[USER_ID, REQUEST_ID]);
static LOGGED_IN: Schema = Schema::Object(&[
    USER_ID,
    always("sessionToken", TEXT),
    always("refreshToken", TEXT),
    REQUEST_ID,
]);
static RENEWED: Schema = Schema::Object(&[
    USER_ID,
    always("sessionToken", TEXT),
    always("refreshToken", TEXT),
    always("expiresInS", Schema::Count),
]);
static SESSION: Schema = Schema::Object(&[
    always("sessionId", TEXT),
    always("createdAt", Schema::Time),
    always("refreshedAt", Schema::Time),
    always("expiresAt", Schema::Time),
]);
static SESSIONS: Schema = Schema::Object(&[
    USER_ID,
    always("username", TEXT),
    always("sessions", Schema::List(&SESSION)),
]);
static ENDED: Schema = Schema::Object(&[USER_ID, always("endedCount", Schema::Count)]);
static ROLED: Schema = Schema::Object(&[USER_ID, ROLE]);
static ACCEPTED: Schema = Schema::Object(&[REQUEST_ID]);
static PURCHASED: Schema = Schema::Object(&[always("purchaseId", TEXT), REQUEST_ID]);
static BEFRIENDED: Schema = Schema::Object(&[always("friendRequestId", TEXT), REQUEST_ID]);
static BROADCAST: Schema = Schema::Object(&[always("notificationId", TEXT)]);
static VERIFIED: Schema = Schema::Object(&[USER_ID, always("emailVerified", Schema::Flag)]);
static DELIVERY: Schema = Schema::Open(&[always("status", TEXT)]);
static TRACKED: Schema = Schema::Open(&[
    always(
        "status",
        Schema::OneOf(&["queued", "sending", "delivered", "failed"]),
    ),
    always("notificationId", TEXT),
    maybe("jobId", TEXT),
    always("attempts", Schema::Count),
    maybe("messageId", TEXT),
    maybe("reason", TEXT),
    maybe("code", Schema::Number),
    always("deliveryHistory", Schema::List(&DELIVERY)),
]);
static SIGNUP: Schema = Schema::Object(&[
    USER_ID,
    always("username", TEXT),
    always("email", TEXT),
    always("emailVerified", Schema::Flag),
    maybe("welcomeEmail", Schema::Any),
    always("createdAt", Schema::Time),
    always("updatedAt", Schema::Time),
]);
static SIGNUPS: Schema = Schema::Object(&[
    always("signups", Schema::List(&SIGNUP)),
    always("page", Schema::Count),
    always("limit", Schema::Count),
    always("total", Schema::Count),
]);
static LOGIN: Schema = Schema::Object(&[
    always("id", TEXT),
    maybe("userId", Schema::Id),
    maybe("username", TEXT),
    maybe("email", TEXT),
    always("loginSuccessful", Schema::Flag),
    maybe("sessionId", TEXT),
    maybe("sessionToken", TEXT),
    maybe("loginAlertEmail", Schema::Any),
    maybe("loginInAppNotification", Schema::Any),
    always("createdAt", Schema::Time),
]);
static LOGINS: Schema = Schema::Object(&[
    always("logins", Schema::List(&LOGIN)),
    always("page", Schema::Count),
    always("limit", Schema::Count),
    always("total", Schema::Count),
]);
static COUNT: Schema = Schema::Count;
static STATISTICS: Schema = Schema::Object(&[
    always("total", Schema::Count),
    always("verified", Schema::Count),
    always("perDay", Schema::List(&DAY)),
    always("welcomeEmails", Schema::Map(&COUNT)),
]);
static DAY: Schema = Schema::Open(&[always("count", Schema::Count)]);
static NOTIFICATION: Schema = Schema::Open(&[
    always("id", TEXT),
    always("type", TEXT),
    always("status", TEXT),
]);
static NOTIFICATIONS: Schema = Schema::Object(&[
    always("notifications", Schema::List(&NOTIFICATION)),
    always("page", Schema::Count),
    always("limit", Schema::Count),
    always("total", Schema::Count),
]);
static HEALTH: Schema = Schema::Open(&[
    always(
        "status",
        Schema::OneOf(&["healthy", "unhealthy", "draining"]),
    ),
    always("server", TEXT),
]);
static OPENAPI: Schema = Schema::Open(&[always("openapi", TEXT), always("paths", Schema::Any)]);

/// Every route of a server.
pub(crate) fn all() -> Vec<Route> {
    let mut all = accounts();
    all.extend(sessions());
    all.extend(actions());
    all.push(roles());
    all.extend(about_itself());
    all.extend(queues::routes());
    all.extend(live_view::routes());
    all
}

fn accounts() -> Vec<Route> {
    vec![
        Route::post("/api/signups", Access::Anyone, signups::create)
            .does("Makes an account and sends its owner a welcome e-mail.")
            .takes(
                const {
                    &[
                        always("username", Schema::Text(1, 64)),
                        always("email", Schema::Address),
                        always("password", PASSWORD),
                    ]
                },
            )
            .answers(201, &MADE_ACCOUNT)
            .refuses(&[409]),
        Route::get("/api/signups", Access::Admin, signups::lists::list)
            .does("Lists accounts, newest first.")
            .asks(PAGE_QUERY)
            .answers(200, &SIGNUPS),
        Route::get(
            "/api/signups/statistics",
            Access::Admin,
            signups::lists::statistics,
        )
        .does("Counts accounts, per day, verified, and their welcome e-mails by status.")
        .answers(200, &STATISTICS),
        Route::get(
            "/api/signups/welcome-emails/failed",
            Access::Admin,
            signups::lists::welcome_emails_failed,
        )
        .does("Lists accounts whose welcome e-mail failed.")
        .asks(PAGE_QUERY)
        .answers(200, &SIGNUPS),
        Route::post(
            "/api/signups/verify/{token}",
            Access::Anyone,
            signups::lists::verify,
        )
        .does("Proves an address by the token of its welcome e-mail; each token is good once.")
        .answers(200, &VERIFIED),
        Route::get(
            "/api/signups/{user_id}/welcome-email-status",
            Access::Owner,
            signups::lists::welcome_email_status,
        )
        .does("Tells how an account's welcome e-mail fares.")
        .answers(200, &TRACKED)
        .refuses(&[404]),
    ]
}

fn sessions() -> Vec<Route> {
    vec![
        Route::post("/api/logins", Access::Anyone, logins::create)
            .does("Logs in: opens a session and tells its owner by e-mail and in the application.")
            .takes(const {
                &[
                    always("email", Schema::Address),
                    always("password", Schema::Text(1, 256)),
                ]
            })
            .answers(200, &LOGGED_IN)
            .refuses(&[401, 429]),
        Route::get("/api/logins", Access::Caller, logins::lists::list)
            .does("Lists logins, newest first; users see their own.")
            .asks(PAGE_QUERY)
            .answers(200, &LOGINS),
        Route::get(
            "/api/logins/alert-emails/failed",
            Access::Admin,
            logins::lists::alert_emails_failed,
        )
        .does("Lists logins whose alert e-mail failed.")
        .asks(PAGE_QUERY)
        .answers(200, &LOGINS),
        Route::post("/api/session", Access::Anyone, sessions::create)
            .does(
                "Opens a session with email and password, or renews one with its refreshToken, which is \
                 good once.",
            )
            .takes(const {
                &[
                    maybe("refreshToken", Schema::Text(1, 1024)),
                    maybe("email", Schema::Address),
                    maybe("password", Schema::Text(1, 256)),
                ]
            })
            .answers(201, &RENEWED)
            .refuses(&[401, 429]),
        Route::get("/api/session/{user_id}", Access::Owner, sessions::show)
            .does("Shows a user's open sessions.")
            .answers(200, &SESSIONS)
            .refuses(&[404]),
        Route::delete("/api/session/{user_id}", Access::Owner, sessions::end)
            .does("Logs a user out: ends all the user's sessions.")
            .answers(200, &ENDED)
            .refuses(&[404]),
        Route::post("/api/reset-passwords", Access::Anyone, reset_passwords::create)
            .does("Sends a code for a new password where somebody has the address.")
            .takes(RESET_FIELDS)
            .answers(202, &ACCEPTED),
        Route::post("/api/reset-password", Access::Anyone, reset_passwords::create)
            .does("The same under the name older clients use.")
            .takes(RESET_FIELDS)
            .answers(202, &ACCEPTED),
    ]
}

const RESET_FIELDS: &[Field] = &[always("email", Schema::Address)];

fn actions() -> Vec<Route> {
    vec![
        Route::post("/api/purchases", Access::User, purchases::create)
            .does("Records a purchase and tells its buyer.")
            .takes(
                const {
                    &[
                        always("item", Schema::Text(1, 200)),
                        always("amount", Schema::Positive(1e9)),
                        always("currency", Schema::Text(3, 3)),
                    ]
                },
            )
            .answers(201, &PURCHASED),
        Route::post(
            "/api/friend-requests",
            Access::User,
            friend_requests::create,
        )
        .does("Records a friend request and tells the other user.")
        .takes(const { &[always("toUserId", Schema::Id)] })
        .answers(201, &BEFRIENDED)
        .refuses(&[404]),
        Route::post(
            "/api/notifications/broadcast",
            Access::Admin,
            broadcasts::create,
        )
        .does("Tells everybody who is connected, on all servers.")
        .takes(
            const {
                &[
                    always("type", NEWS_KIND),
                    always("title", Schema::Text(1, 200)),
                    always("message", Schema::Text(1, 2000)),
                    maybe(
                        "priority",
                        Schema::OneOf(&["low", "normal", "high", "urgent"]),
                    ),
                ]
            },
        )
        .answers(202, &BROADCAST),
        Route::get(
            "/api/notifications/{user_id}",
            Access::Owner,
            notifications::list,
        )
        .does("Lists what a user was told, newest first, with every delivery.")
        .asks(NOTIFICATIONS_QUERY)
        .answers(200, &NOTIFICATIONS),
    ]
}

fn roles() -> Route {
    Route::put("/api/users/{user_id}/role", Access::Admin, users::set_role)
        .does("Makes a user an administrator or takes that away, from the next access token on.")
        .takes(const { &[ROLE] })
        .answers(200, &ROLED)
        .refuses(&[404, 409])
}

fn about_itself() -> Vec<Route> {
    vec![
        Route::get("/api/health", Access::Anyone, health::show)
            .does("Whether this server can do its work.")
            .answers(200, &HEALTH)
            .answers(503, &HEALTH),
        Route::get("/health", Access::Anyone, health::show)
            .does("The same where other programs look for it.")
            .answers(200, &HEALTH)
            .answers(503, &HEALTH),
        Route::get("/metrics", Access::Anyone, metrics::show)
            .does("Figures for monitoring systems, in OpenMetrics' text format.")
            .answers_with(200, Content::Media("application/openmetrics-text")),
        Route::get("/openapi.json", Access::Anyone, openapi::show)
            .does("This description.")
            .answers(200, &OPENAPI),
    ]
}
