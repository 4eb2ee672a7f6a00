//! `/api/live-view`: what the system does now, one request's way, and control of it.
//!
//! Belongs here: its routes. Does not belong here: recording, faults themselves.
//!
//! Control is for administrators, recent requests and figures for holders of `dashboard:read:live` too; what
//! watch.rs lets through may read the status and the reel.

mod control;
mod history;
pub(crate) mod reel;
mod requests;
mod simulate;
mod status;
mod watch;

use crate::router::access::Access;
use crate::router::route::{Content, Route};
use crate::router::schema::{Field, Schema, TEXT, always, maybe};

static OPEN: Schema = Schema::Open(&[]);
static CONTROLS: Schema = Schema::Open(&[
    always("settings", Schema::Map(&Schema::Any)),
    always("faults", Schema::List(&OPEN)),
]);
static INJECTED: Schema = Schema::Object(&[always("requestIds", Schema::List(&TEXT))]);

static POINT: Schema = Schema::Open(&[always("timestamp", Schema::Count)]);
static HISTORY: Schema = Schema::Object(&[
    always("metric", TEXT),
    always("unit", TEXT),
    always("points", Schema::List(&POINT)),
]);
static REQUEST: Schema = Schema::Object(&[
    always("requestId", TEXT),
    always("type", TEXT),
    always("currentStage", TEXT),
    always("startTime", Schema::Count),
    always("totalDuration", Schema::Number),
    always("status", STATUS),
]);
static REQUESTS: Schema = Schema::Object(&[
    always("requests", Schema::List(&REQUEST)),
    always("total", Schema::Count),
]);
const STATUS: Schema = Schema::OneOf(&["pending", "processing", "completed", "failed"]);
const HISTORY_QUERY: &[Field] = &[
    always("metric", TEXT),
    maybe("seconds", Schema::Whole(1, 3600)),
];
const REQUESTS_QUERY: &[Field] = &[
    maybe("status", STATUS),
    maybe("type", TEXT),
    maybe("requestId", TEXT),
    maybe("sort", Schema::OneOf(&["startTime", "totalDuration"])),
    maybe("order", Schema::OneOf(&["asc", "desc"])),
    maybe("limit", Schema::Whole(1, 1000)),
];

/// Its entries of the table of routes.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/live-view/status",
            Access::MonitorOrLocal,
            status::show,
        )
        .does("Every part of the system as it is now.")
        .answers(200, &OPEN),
        Route::get("/api/live-view/history", Access::Monitor, history::show)
            .does("One figure over the last seconds, a point a second.")
            .asks(HISTORY_QUERY)
            .answers(200, &HISTORY),
        Route::get("/api/live-view/requests", Access::Monitor, requests::list)
            .does("The last requests, newest first where nothing else is asked for.")
            .asks(REQUESTS_QUERY)
            .answers(200, &REQUESTS),
        Route::get(
            "/api/live-view/requests/{id}",
            Access::Monitor,
            requests::show,
        )
        .does("One of the last requests, stage by stage.")
        .answers(200, &OPEN)
        .refuses(&[404]),
        Route::get("/api/live-view/control", Access::Admin, control::show)
            .does("Every setting that can change while the system runs, and the faults that hold.")
            .answers(200, &CONTROLS),
        Route::post("/api/live-view/control", Access::Admin, control::apply)
            .does("Sets some of these, breaks a part on purpose for a while, or ends that.")
            .takes(
                const {
                    &[
                        maybe("set", Schema::Map(&Schema::Any)),
                        maybe("fault", Schema::Any),
                        maybe("end", TEXT),
                    ]
                },
            )
            .answers(200, &CONTROLS)
            .refuses(&[404, 429]),
        Route::post("/api/live-view/simulate", Access::Admin, simulate::start)
            .does("Makes so many real requests of one kind.")
            .takes(
                const {
                    &[
                        always("type", TEXT),
                        maybe("count", Schema::Whole(1, 10_000)),
                        maybe("interval", Schema::Whole(0, 60_000)),
                    ]
                },
            )
            .answers(202, &INJECTED),
        Route::get("/api/live-view/reel", Access::MonitorOrLocal, reel::follow)
            .does("This run's recording from its first byte, as it grows, to its end.")
            .answers_with(200, Content::Media("application/octet-stream"))
            .refuses(&[401, 403, 404, 429]),
    ]
}
